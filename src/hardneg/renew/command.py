"""hardneg renew: one command for a schedule, from new data to a judged index beside the live one."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardneg import run_folder
from hardneg.ab import gate, plain
from hardneg.ab.command import show
from hardneg.ab.html import page
from hardneg.ab.markdown import markdown
from hardneg.ab.report import Plan, Report
from hardneg.errors import UserError
from hardneg.renew import steps
from hardneg.renew.plan import PLACE, Renewal, make_plan
from hardneg.renew.tidy import tidy
from hardneg.serving.builds import Build
from hardneg.serving.folder import IndexFolder
from hardneg.stages.run import alone, say

DELTA, LOST = -0.01, 0.05

EPILOG = """examples:
  hardneg renew my-index
  hardneg renew my-index data.path=DIR trainer.max_epochs=2 --switch
  hardneg renew my-index experiment=bge_small --gate-delta 0 --gate-slice -0.02

As a nightly job (cron):  0 3 * * *  hardneg renew /srv/my-index data.path=/srv/data
Asked again after a kill or an error it goes on where it was; two at a time are refused.

exit code: 0, a new build is ready (or live), or there is nothing new; 1, the gate says no; 2, bad input or a failure;
128 + signal, interrupted.
"""


def main(arguments: Sequence[str]) -> None:
    """Run what is not done yet."""
    given = _parser().parse_intermixed_args(arguments)
    plan = Plan(cluster_positives=given.cluster_positives, gate=gate.of(given))
    root = IndexFolder(given.index).live().root  # says what is wrong with a folder that is no index
    try:
        with alone(root / PLACE, "a renewal is") as lock, logged():
            code = renew(make_plan(root, given.words), plan, given.switch, given.anyway, lock)
    except steps.Stopped as stop:
        code = 128 + int(stop.args[0])
    except KeyboardInterrupt:
        code = 130
    if code >= 128:
        say("hardneg renew: interrupted; the same command goes on where it was")
    if code:
        sys.exit(code)


@contextmanager
def logged() -> Iterator[None]:
    """Show on the screen what the steps log, as Hydra does for its apps."""
    log, handler = logging.getLogger("hardneg"), logging.StreamHandler(sys.stderr)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def renew(renewal: Renewal, plan: Plan, switch: bool, anyway: bool, lock: int) -> int:
    """Bring the live model's vectors up to the data, train, index, judge, and switch if that is wanted and allowed."""
    if renewal.done and not anyway:
        say("nothing new: the live model was renewed with these data and settings (--anyway trains on all the same)")
        return 0
    say(f"1/4 the live model's index of {renewal.data.name} as it is now ({len(renewal.data.corpus)} documents)")
    old = steps.index(renewal, renewal.checkpoint)
    renewal.folder.mkdir(parents=True, exist_ok=True)
    tidy(renewal)
    say("2/4 mine and train on")
    ckpt_path = steps.train(renewal, lock)
    say("3/4 the new model's index, beside the live one")
    new = steps.index(renewal, ckpt_path, renewed=True)
    say(f"4/4 old and new, asked the {renewal.split} queries")
    before = steps.rank(renewal, old, renewal.checkpoint, "old")
    report = steps.judge(renewal, before, steps.rank(renewal, new, ckpt_path, "new"), plan)
    _write(renewal, report)
    return _end(renewal, report, new, ckpt_path, switch)


def _end(renewal: Renewal, report: Report, build: Build, ckpt_path: str, switch: bool) -> int:
    """Say how it came out, for people and in renewal.json, after the switch if there is one."""
    index = renewal.index
    facts: dict[str, Any] = {
        **{"state": "ready", "old": renewal.live.name, "new": build.name, "ckpt_path": ckpt_path},
        "gate": {"passed": report.passed, "reasons": list(report.reasons)},
    }
    if not report.passed:
        _note(renewal, {**facts, "state": "refused"})
        for reason in report.reasons:
            say(f"hardneg renew: gate: {reason}")
        say(f"the live index stays as it is; the report: {renewal.folder / 'report.html'}")
        return 1
    with index.writing():
        if switch:
            if index.stack()[:1] != [renewal.live.name]:
                raise UserError(
                    f"another build went live while {build.name} was made, which was judged against"
                    f" {renewal.live.name}; run the same command again, or switch by hand"
                )
            index.switch(build)
        index.put_beside(build)
        index.prune(renewal.index_cfg.keep, build)
    _note(renewal, {**facts, "state": "live" if switch else "ready"})
    if switch:
        say(f"live: build {build.name}; back again: hardneg index rollback {index.root}")
    else:
        say(
            f"ready: build {build.name}, beside the live one; to switch: hardneg index switch {index.root} {build.name}"
        )
    return 0


def _write(renewal: Renewal, report: Report) -> None:
    show(report)
    files = {"report.md": markdown(report, True), "report.html": page(report, True), "report.json": plain.text(report)}
    for name, content in files.items():
        (renewal.folder / name).write_text(content, encoding="utf-8", newline="")


def _note(renewal: Renewal, facts: dict[str, Any]) -> None:
    run_folder.write_summary(renewal.folder / "renewal.json", facts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg renew",
        description="Renew a live index: bring its vectors up to the data, mine with its model, train on, build an"
        " index beside it, compare the two query by query, and stop before the switch. Results lie in INDEX/renewals.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("index", type=Path, help="folder of the index")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="of hardneg train, on top of experiment=renew, the live checkpoint's encoder and the data of the index",
    )
    parser.add_argument("--switch", action="store_true", help="have the new build answer if the gate lets it through")
    parser.add_argument(
        "--anyway", action="store_true", help="train on even if data and settings are those of last time"
    )
    parser.add_argument("--cluster-positives", action="store_true", help="join queries that share a relevant document")
    gate.add_options(parser, delta=DELTA, lost=LOST)
    return parser
