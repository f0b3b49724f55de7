"""A table of jobs, read from their folders: which wait, run, are done or have failed, and their metrics."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hardneg.config.started_with import CONFIG
from hardneg.runs import status
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import clock
from hardneg.system.terminal_tables import console_at, print_title

STYLES = {
    "waiting": "dim",
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "interrupted": "yellow",
    "paused": "yellow",
    "trial": "dim",
    "pruned": "dim",
}
WIDE = 160  # columns where no terminal tells its width
SHORTEST = 20  # columns of a name or an error beside the others
LONGEST = 60  # columns of an error
NARROW = 110  # fewer columns leave no room for a name beside a metric in one line


@dataclass(frozen=True)
class Row:
    """The state of a job, by its folder."""

    folder: Path
    name: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The metric that its best checkpoint is chosen by."""
        return self.facts.get("best") or "ndcg@10"


def rows(sweep: Path) -> list[Row]:
    """Read every job in or below a folder, in the order of their paths."""
    folders = {path.parent for path in sweep.rglob(status.FILE)}
    folders |= {path.parent.parent for path in sweep.rglob(CONFIG)}
    return [row(folder) for folder in sorted(folders)]


def row(folder: Path) -> Row:
    """Read one job's folder; a run from before there was a status is judged by its summary."""
    found = status.read(folder)
    if found is not None:
        return Row(folder, found["name"], found["state"], found)
    if not (folder / "summary.json").exists():
        # A job that has just begun has a lock before it has a status.
        return Row(folder, folder.name, "running" if status.held_by_somebody(folder) else "interrupted")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    facts = {"test": summary.get("test", {}).get("after", {}), "step": summary.get("steps")}
    return Row(folder, summary.get("name", folder.name), "done", facts)


def count(rows: Iterable[Row]) -> str:
    """Say how many jobs are in which state, as in "4 jobs: 1 running, 3 done"."""
    states = Counter(row.state for row in rows)
    listed = ", ".join(f"{states[state]} {state}" for state in status.STATES if states[state])
    return f"{counted(states.total(), 'job')}: {listed or 'none'}"


def table(rows: Sequence[Row], width: int, one_line: bool = False) -> Group:
    """Lay out the jobs in a width, with every digit where there is room for the numbers, mostly 65 columns.

    Where it is narrow a name goes on in a second line, since only its end may tell jobs apart. Errors come below the
    table where there is no room for `SHORTEST` letters of them beside it, and where all are shorter than that. With
    `one_line` each job takes one line: names are cut in the middle, and errors left out.
    """
    metrics = {row.best for row in rows}
    metric = ("\n" if width < NARROW else " ") + metrics.pop() if len(metrics) == 1 else ""
    headings = ("state", "step", f"best dev{metric}", f"test{metric}", "time")
    cells = [(row.state, _steps(row), _best_dev(row), _number(row, "test"), _time(row)) for row in rows]
    widths = [max(map(len, [*heading.split("\n"), *column])) for heading, *column in zip(headings, *cells, strict=True)]
    # A cell has a blank on both sides, where there is room for that, and a line on its left; the table ends in one.
    room = width - sum(widths) - 3 * len(widths) - 4
    called = names(rows)
    longest = max(map(len, [*called, "job"]))
    closer = room + 2 * len(widths) + 2  # without these blanks
    padding = int(room >= SHORTEST and not room < longest <= closer)
    if not padding:
        room = max(closer, SHORTEST // 2)
    name_width = min(longest, room)
    errors = [_first_line(row.facts.get("error") or "") for row in rows]
    error_width = min(max(map(len, errors), default=0), LONGEST, room - name_width - 2 * padding - 1)
    beside = any(errors) and error_width >= SHORTEST
    out = Table(padding=(0, padding))
    out.add_column("job", width=name_width, overflow="ellipsis" if one_line else "fold", no_wrap=one_line)
    for heading, least in zip(headings, widths, strict=True):
        out.add_column(heading, justify="left" if heading == "state" else "right", width=least, no_wrap=True)
    if beside:
        out.add_column("error", width=error_width, overflow="ellipsis", no_wrap=True)
    for one, name, row_cells, error in zip(rows, called, cells, errors, strict=True):
        shown = cut_in_the_middle(name, name_width) if one_line else name
        out.add_row(escape(shown), *row_cells, *([escape(error)] if beside else []), style=STYLES[one.state])
    below = [] if beside or one_line else [(name, error) for name, error in zip(called, errors, strict=True) if error]
    return Group(out, *(Text(f"{name}: {error}", style=STYLES["failed"]) for name, error in below))


def cut_in_the_middle(name: str, length: int) -> str:
    """Return a name of at most this length; jobs of a sweep differ at its end more often than in the middle."""
    if len(name) <= length:
        return name
    end = length // 2
    return f"{name[: length - end - 1]}…{name[-end:]}"


def names(rows: Sequence[Row]) -> list[str]:
    """The jobs' names; those that several share get the words in which their command lines differ."""
    alike: dict[str, list[Row]] = {}
    for one in rows:
        alike.setdefault(one.name, []).append(one)
    out = []
    for one in rows:
        common = set.intersection(*(set(_words(other)) for other in alike[one.name]))
        out.append(" ".join([one.name, *(word for word in _words(one) if word not in common)]))
    return out


def _words(row: Row) -> list[str]:
    """The words of a job, without the checkpoint of its own that one went on from."""
    own = f"{row.folder.resolve()}/"
    return [word for word in row.facts.get("overrides", ()) if not (word.startswith("ckpt_path=") and own in word)]


def show(sweep: Path, jobs: Sequence[Row] | None = None) -> None:
    """Print the table of a sweep's folder."""
    jobs = rows(sweep) if jobs is None else jobs
    console = console_at(WIDE)
    print_title(console, f"{sweep}: {count(jobs)}")
    console.print(table(jobs, console.width))


def _steps(row: Row) -> str:
    step, steps = row.facts.get("step"), row.facts.get("steps")
    if step is None:
        return ""
    return str(step) if row.state == "done" or not steps else f"{step}/{steps}"


def _best_dev(row: Row) -> str:
    """The dev metric of its best checkpoint; earlier versions noted the last evaluation, and the best as a result."""
    if "dev_at_best" not in row.facts and row.facts.get("dev") and row.facts.get("result") is not None:
        return f"{row.facts['result']:.4f}"
    return _number(row, "dev_at_best")


def _number(row: Row, what: str) -> str:
    value = (row.facts.get(what) or {}).get(row.best)
    return "" if value is None else f"{value:.4f}"


def _time(row: Row) -> str:
    """The duration of its last attempt."""
    if "started" not in row.facts or row.state == "waiting":
        return ""
    end = time.time() if row.state == "running" else row.facts["updated"]
    return clock(end - row.facts["started"])


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
