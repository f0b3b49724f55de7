"""hardneg renew: one command for a schedule, from new data to a judged index beside the live one."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from hardneg.ab import gate, plain
from hardneg.ab.command import show
from hardneg.ab.html import page
from hardneg.ab.markdown import markdown
from hardneg.ab.report import Plan, Report
from hardneg.renew import steps
from hardneg.renew.outcome import Outcome
from hardneg.renew.plan import PLACE, Renewal, make_plan
from hardneg.renew.tidy import tidy
from hardneg.serving.folder import IndexFolder
from hardneg.stages.run import alone, say
from hardneg.whole import whole

DELTA, LOST = -0.01, 0.05

EPILOG = """examples:
  hardneg renew my-index
  hardneg renew my-index data=beir data.path=DIR trainer.max_epochs=2 --switch
  hardneg renew my-index loss=triplet negatives.mined.k=4 --gate-delta 0 --gate-slice -0.02

As a nightly job (cron):  0 3 * * *  hardneg renew /srv/my-index data=beir data.path=/srv/data --switch
Asked again after a kill or an error it goes on where it was; two at a time are refused. The gate looks at split.test,
or at split.dev where that is null.

exit code: 0, a new build is ready (or live), or there is nothing new; 1, the gate says no, or what came out was live
and was rolled back; 2, bad input or a failure; 128 + signal, interrupted.
"""


def main(arguments: Sequence[str]) -> None:
    """Run what is not done yet."""
    given = _parser().parse_intermixed_args(arguments)
    plan = Plan(cluster_positives=given.cluster_positives, gate=gate.of(given))
    root = IndexFolder(given.index).live().root  # says what is wrong with a folder that is no index
    try:
        with alone(root / PLACE, "a renewal is") as lock, stoppable(), logged():
            code = renew(make_plan(root, given.words), plan, given.switch, given.anyway, lock)
    except steps.Stopped as stop:
        code = 128 + int(stop.args[0])
        say("hardneg renew: interrupted; the same command goes on where it was")
    if code:
        sys.exit(code)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into `Stopped`, at whatever step they come."""

    def stop(number: int, _: object) -> None:
        raise steps.Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    """Bring the live model's vectors up to the data, train, index, judge, and switch if that is wanted and allowed.

    Returns the exit code.
    """
    if renewal.done and not anyway:
        say("nothing new: the live model was renewed with these data and settings (--anyway trains on all the same)")
        return 0
    if renewal.rolled_back and not anyway:
        say(f"hardneg renew: build {renewal.note['new']} was live and was rolled back (--anyway takes it all the same)")
        return 1
    outcome = Outcome.known(renewal, plan.gate) or judged(renewal, plan, lock)
    return outcome.take(switch)


def judged(renewal: Renewal, plan: Plan, lock: int) -> Outcome:
    """Go through the four steps."""
    say(f"1/4 the live model's index of {renewal.data.name} as it is now ({len(renewal.data.corpus)} documents)")
    old = steps.build(renewal, renewal.checkpoint)
    if not renewal.folder.exists():
        with renewal.index.writing():
            renewal.index.prune(renewal.index_cfg.keep, old)
        tidy(renewal)
        renewal.folder.mkdir(parents=True)
    say("2/4 mine and train on")
    ckpt_path = steps.train(renewal, lock)
    say("3/4 the new model's index, beside the live one")
    new = steps.build(renewal, ckpt_path, old)
    say(f"4/4 old and new, asked the {renewal.split} queries")
    before = steps.rank(renewal, old, renewal.checkpoint, "old")
    report = steps.judge(renewal, before, steps.rank(renewal, new, ckpt_path, "new"), plan)
    show(report)
    _write(renewal, report)
    return Outcome(renewal, old.name, new.name, tuple(report.reasons), asdict(plan.gate))


def _write(renewal: Renewal, report: Report) -> None:
    files = {"report.md": markdown(report, True), "report.html": page(report, True), "report.json": plain.text(report)}
    for name, content in files.items():
        with whole(renewal.folder / name, alone=True) as draft:
            draft.write_text(content, encoding="utf-8", newline="")


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
    parser.add_argument(
        "--switch",
        action="store_true",
        help="have the new build answer if the gate lets it through, else the live model's with the new documents",
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="also where the live model came out of these data and settings, or what came out of them was rolled back",
    )
    parser.add_argument("--cluster-positives", action="store_true", help="join queries that share a relevant document")
    gate.add_options(parser, delta=DELTA, lost=LOST)
    return parser
