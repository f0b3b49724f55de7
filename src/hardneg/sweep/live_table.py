"""Jobs while they run: a live table on a terminal, and a line for each change in logs and pipes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hardneg.sweep.jobs_table import JobRow, count, row, table
from hardneg.system.terminal_tables import TITLE

log = logging.getLogger(__name__)

TOLD = ("done", "failed", "interrupted")
PAUSE = 1.0  # seconds between two drawings of the table: it is asked for at every look at the processes


@contextmanager
def view(folders: Sequence[Path]) -> Iterator[Callable[[], None]]:
    """Show these jobs; return a function that updates the view. A job that is done is not read again."""
    ended: dict[Path, JobRow] = {}

    def read() -> list[JobRow]:
        found = [ended.get(folder) or row(folder) for folder in folders]
        ended.update({one.folder: one for one in found if one.state == "done"})
        return found

    console = Console(stderr=True)
    if console.is_terminal:
        # transient: the sweep ends with the whole table
        with Live(console=console, auto_refresh=False, transient=True) as live:
            last = -PAUSE

            def draw() -> None:
                nonlocal last
                if time.monotonic() - last >= PAUSE:
                    live.update(drawn(read(), console.width, console.height), refresh=True)
                    last = time.monotonic()

            yield draw
        return
    told = {folder: one.state for folder, one in zip(folders, read(), strict=True)}

    def tell() -> None:
        found = read()
        for folder, one in zip(folders, found, strict=True):
            if one.state != told[folder] and one.state in ("running", *TOLD):
                log.info("%s", _line(one, sum(other.state in TOLD for other in found), len(found)))
            told[folder] = one.state

    yield tell


def drawn(rows: list[JobRow], width: int, height: int) -> Group:
    """Lay out as many jobs as the terminal has lines for: `Live` would cut the last ones, whatever their state."""
    shown = fitting(rows, height - 8)
    return Group(Text(f"jobs: {count(shown)}", style=TITLE), table(shown, width, one_line=True))


def fitting(rows: list[JobRow], lines: int) -> list[JobRow]:
    """Leave out what matters least until the rest fits: waiting jobs from the last on, then those that are done."""
    kept = list(rows)
    for state in ("waiting", "done"):
        for one in [one for one in reversed(kept) if one.state == state][: max(len(kept) - lines, 0)]:
            kept.remove(one)
    return kept


def _line(row: JobRow, ended: int, total: int) -> str:
    test = (row.facts.get("test") or {}).get(row.best)
    said = [f"{row.best} {test:.4f}"] if test is not None else []
    said += [f"step {row.facts['step']}"] if row.facts.get("step") is not None and row.state != "done" else []
    said += [str(row.facts["error"])] if row.facts.get("error") else []
    return f"[{ended}/{total}] {row.name} {row.state}  {'  '.join(said)}".rstrip()
