"""A table of jobs, read from their folders: which wait, run, are done or have failed, and their metrics."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hardneg.config.started_with import CONFIG
from hardneg.runs import status
from hardneg.system.progress import clock

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
    return f"{states.total()} job{'s' * (states.total() != 1)}: {listed or 'none'}"


def table(title: str, rows: Sequence[Row], width: int) -> Table:
    """Lay out the jobs. Where it is narrow a name goes on in a second line, since only its end may tell jobs apart."""
    out = Table(title=f"{title}: {count(rows)}", title_justify="left")
    metrics = {row.best for row in rows}
    metric = ("\n" if width < NARROW else " ") + metrics.pop() if len(metrics) == 1 else ""
    for heading in ("job", "state", "step", f"best dev{metric}", f"test{metric}", "time"):
        left, least = heading in ("job", "state"), {"job": 16, "state": 11}.get(heading, 7)
        out.add_column(
            heading, justify="left" if left else "right", no_wrap=heading != "job", overflow="fold", min_width=least
        )
    said = any(row.facts.get("error") for row in rows)
    if said:
        out.add_column("error", overflow="ellipsis", no_wrap=True, max_width=60)
    for one, name in zip(rows, names(rows), strict=True):
        error = [escape(_first_line(one.facts.get("error") or ""))] if said else []
        cells = (_steps(one), _best_dev(one), _number(one, "test"), _time(one), *error)
        out.add_row(escape(name), one.state, *cells, style=STYLES[one.state])
    return out


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
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE)
    console.print(table(str(sweep), rows(sweep) if jobs is None else jobs, console.width))


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
