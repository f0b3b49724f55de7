"""A renewal from beginning to end: its steps in order, which may be interrupted, and what follows for the index."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hardneg.ab import json_report
from hardneg.ab.html_report import page
from hardneg.ab.markdown_report import markdown
from hardneg.ab.report import AbPlan, Report
from hardneg.ab.terminal_report import show
from hardneg.renew import steps
from hardneg.renew.old_checkpoints import tidy
from hardneg.renew.outcome import RenewalOutcome, limits_of
from hardneg.renew.plan import PLACE, Renewal, make_plan, read_note, write_note
from hardneg.stages.run_stages import alone, say
from hardneg.system.atomic_write import atomic_write
from hardneg.system.counts_in_words import counted
from hardneg.system.log_level import at_level
from hardneg.system.screen import Screen
from hardneg.system.signals import stopping_by


def renew_in(root: Path, words: Sequence[str], plan: AbPlan, switch: bool, anyway: bool) -> int:
    """Renew the live index in a folder, two at a time refused; return the exit code."""
    try:
        with alone(root / PLACE, "a renewal is") as lock, stoppable(), logged():
            return renew(make_plan(root, words), plan, switch, anyway, lock)
    except steps.StoppedBySignal as stop:
        say("hardneg renew: interrupted; run the same command again to continue")
        return 128 + int(stop.args[0])


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into `StoppedBySignal`, at whatever step they come."""

    def stop(number: int, _: object) -> None:
        raise steps.StoppedBySignal(number)

    with stopping_by(stop):
        yield


@contextmanager
def logged() -> Iterator[None]:
    """Show on the screen what the steps log, as Hydra does for its apps."""
    log, handler = logging.getLogger("hardneg"), Screen()
    log.addHandler(handler)
    try:
        with at_level(log.name, logging.INFO):
            yield
    finally:
        log.removeHandler(handler)


def renew(renewal: Renewal, plan: AbPlan, switch: bool, anyway: bool, lock: int) -> int:
    """Bring the live model's vectors up to the data, train, index, judge, and switch if that is wanted and allowed.

    Returns the exit code.
    """
    if renewal.done and not anyway:
        if (note := read_note(renewal.before))["state"] == "ready":  # stopped after the switch, or switched by hand
            write_note(renewal.before, {**note, "state": "live"})
        say("nothing new: the live model was renewed with these data and settings (--anyway trains on all the same)")
        return 0
    if renewal.rolled_back and not anyway:
        say(f"hardneg renew: build {renewal.note['new']} was live and was rolled back (--anyway takes it all the same)")
        return 1
    outcome = RenewalOutcome.known(renewal, plan) or judged(renewal, plan, lock)
    return outcome.take(switch)


def judged(renewal: Renewal, plan: AbPlan, lock: int) -> RenewalOutcome:
    """Go through the four steps."""
    size = counted(len(renewal.data.corpus), "document")
    say(f"1/4 the live model's index of {renewal.data.name} as it is now ({size})")
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
    return RenewalOutcome(renewal, old.name, new.name, tuple(report.reasons), limits_of(plan))


def _write(renewal: Renewal, report: Report) -> None:
    files = {
        "report.md": markdown(report, True),
        "report.html": page(report, True),
        "report.json": json_report.text(report),
    }
    for name, content in files.items():
        with atomic_write(renewal.folder / name, alone=True) as draft:
            draft.write_text(content, encoding="utf-8", newline="")
