"""A table of jobs, read from their folders: which wait, run, are done or have failed, and their metrics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from hardneg.config.started_with import CONFIG
from hardneg.runs import status
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import clock
from hardneg.system.terminal_tables import console_at, laid_out, least_width, print_title, whole_width

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
SHORTEST = 10  # columns of a name that is cut in the middle


@dataclass(frozen=True)
class JobRow:
    """The state of a job, by its folder."""

    folder: Path
    name: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The metric that its best checkpoint is chosen by."""
        return self.facts.get("best") or "ndcg@10"


def rows(sweep: Path) -> list[JobRow]:
    """Read every job in or below a folder, in the order of their paths."""
    folders = {path.parent for path in sweep.rglob(status.FILE)}
    folders |= {path.parent.parent for path in sweep.rglob(CONFIG)}
    return [row(folder) for folder in sorted(folders)]


def row(folder: Path) -> JobRow:
    """Read one job's folder."""
    if (found := status.read(folder)) is not None:
        return JobRow(folder, found["name"], found["state"], found)
    # A job that has just begun has a lock before it has a status.
    return JobRow(folder, folder.name, "running" if status.held_by_somebody(folder) else "interrupted")


def count(rows: Iterable[JobRow]) -> str:
    """Say how many jobs are in which state, as in "4 jobs: 1 running, 3 done"."""
    states = Counter(row.state for row in rows)
    listed = ", ".join(f"{states[state]} {state}" for state in status.STATES if states[state])
    return f"{counted(states.total(), 'job')}: {listed or 'none'}"


def table(rows: Sequence[JobRow], width: int, one_line: bool = False) -> Group:
    """Lay out the jobs in a width; their errors come below the table where it has no room for all of them.

    With `one_line` each job takes one line: names are cut in the middle, and errors left out.
    """
    metrics = {row.best for row in rows}
    metric = f" {metrics.pop()}" if len(metrics) == 1 else ""
    headings = ["job", "state", "step", f"best dev{metric}", f"test{metric}", "time"]
    facts = [[row.state, _steps(row), _number(row, "dev_at_best"), _number(row, "test"), _time(row)] for row in rows]
    called = names(rows)
    if one_line:
        room = width - least_width(["", *headings[1:]], [["", *of_job] for of_job in facts])
        called = [cut_in_the_middle(name, max(room, SHORTEST)) for name in called]
    cells = [_styled(row, [name, *of_job]) for row, name, of_job in zip(rows, called, facts, strict=True)]
    errors = ["" if one_line else _first_line(row.facts.get("error") or "") for row in rows]
    if any(errors):
        beside = [[*of_job, *_styled(row, [error])] for row, of_job, error in zip(rows, cells, errors, strict=True)]
        if whole_width([*headings, "error"], beside) <= width:
            return Group(*laid_out([*headings, "error"], beside, width, words=(0, 1, 6)))
    below = [(name, error) for name, error in zip(called, errors, strict=True) if error]
    told = [Text(f"{name}: {error}", style=STYLES["failed"]) for name, error in below]
    # A name that takes one line has been cut to the room there is: broken, it would take several all the same.
    return Group(*laid_out(headings, cells, width, words=(1,) if one_line else (0, 1)), *told)


def _styled(row: JobRow, cells: Sequence[str]) -> list[Text]:
    return [Text(cell, style=STYLES[row.state]) for cell in cells]


def cut_in_the_middle(name: str, length: int) -> str:
    """Return a name of at most this length; jobs of a sweep differ at its end more often than in the middle."""
    if len(name) <= length:
        return name
    end = length // 2
    return f"{name[: length - end - 1]}…{name[-end:]}"


def names(rows: Sequence[JobRow]) -> list[str]:
    """The jobs' names; those that several share get the words in which their command lines differ."""
    alike: dict[str, list[JobRow]] = {}
    for one in rows:
        alike.setdefault(one.name, []).append(one)
    out = []
    for one in rows:
        common = set.intersection(*(set(_words(other)) for other in alike[one.name]))
        out.append(" ".join([one.name, *(word for word in _words(one) if word not in common)]))
    return out


def _words(row: JobRow) -> list[str]:
    """The words of a job, without the checkpoint of its own that one went on from."""
    own = f"{row.folder.resolve()}/"
    return [word for word in row.facts.get("overrides", ()) if not (word.startswith("ckpt_path=") and own in word)]


def show(sweep: Path, jobs: Sequence[JobRow] | None = None) -> None:
    """Print the table of a sweep's folder."""
    jobs = rows(sweep) if jobs is None else jobs
    console = console_at(WIDE)
    print_title(console, f"{sweep}: {count(jobs)}")
    console.print(table(jobs, console.width))


def _steps(row: JobRow) -> str:
    step, steps = row.facts.get("step"), row.facts.get("steps")
    if step is None:
        return ""
    return str(step) if row.state == "done" or not steps else f"{step}/{steps}"


def _number(row: JobRow, what: str) -> str:
    value = (row.facts.get(what) or {}).get(row.best)
    return "" if value is None else f"{value:.4f}"


def _time(row: JobRow) -> str:
    """The duration of its last attempt."""
    if "started" not in row.facts or row.state == "waiting":
        return ""
    end = time.time() if row.state == "running" else row.facts["updated"]
    return clock(end - row.facts["started"])


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
