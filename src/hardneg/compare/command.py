"""hardneg compare: a table of arms, each against a baseline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from hardneg.compare.runs import FinishedRun, arms, find, paired
from hardneg.compare.statistics import Difference, crossed
from hardneg.errors import UserError


def main(arguments: Sequence[str]) -> None:
    """Print one table per data set, and write it as Markdown where asked."""
    parser = argparse.ArgumentParser(
        prog="hardneg compare",
        description="Put finished runs side by side: mean over seeds, and the paired difference to a baseline.",
        epilog="example: hardneg compare multirun/2026-01-31_12-00-00 --baseline in_batch-infonce",
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that contain them (a sweep)")
    parser.add_argument("--baseline", help="arm to compare with, by its name in the table; default: the first by name")
    parser.add_argument("--metric", default="ndcg@10", help="test metric (default: %(default)s)")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    given = parser.parse_args(arguments)
    runs = find(given.runs)
    text = []
    for data in sorted({run.summary["data"] for run in runs}):
        rows = compare([run for run in runs if run.summary["data"] == data], given.metric, given.baseline)
        _print(f"{data}: test {given.metric}", rows)
        text.append(_markdown(f"{data}: test {given.metric}", rows))
    if given.markdown:
        given.markdown.write_text("\n".join(text), encoding="utf-8")


Row = tuple[str, int, float, float, Difference | None]  # arm, seeds, mean, SD over seeds, difference to the baseline


def compare(runs: Sequence[FinishedRun], metric: str, baseline: str | None) -> list[Row]:
    """Return one row an arm, best first; raises `UserError` for a baseline that none of the runs is."""
    by_arm = arms(runs, metric)
    baseline = baseline or min(by_arm)
    if baseline not in by_arm:
        raise UserError(f"--baseline {baseline}: no such arm; there are {', '.join(sorted(by_arm))}")
    rows: list[Row] = []
    for arm, seeds in by_arm.items():
        means = np.array([np.mean(list(values.values())) for values in seeds.values()])
        spread = float(means.std(ddof=1)) if len(means) > 1 else float("nan")
        d = paired(seeds, by_arm[baseline]) if arm != baseline else None
        rows.append((arm, len(seeds), float(means.mean()), spread, None if d is None else crossed(d)))
    return sorted(rows, key=lambda row: -row[2])


HEADER = ("arm", "seeds", "mean", "SD", "difference and 95% interval", "p", "on seeds x queries")
NOTE = "SD: between seeds. Difference to the arm without one, paired by seed and query, both random; p not corrected."
ONE_SEED = " With one seed the interval covers other queries, not other seeds."


def _cells(row: Row) -> tuple[str, ...]:
    arm, seeds, mean, spread, d = row
    shared = "" if d is None else f"{d.seeds} x {d.queries}"
    tail = ("", "", "") if d is None else (f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]", f"{d.p:.2g}", shared)
    return (arm, str(seeds), f"{mean:.4f}", f"{spread:.4f}", *tail)


def _note(rows: Sequence[Row]) -> str:
    return NOTE + ONE_SEED * any(row[-1] is not None and row[-1].seeds == 1 for row in rows)


def _print(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left", caption=_note(rows), caption_justify="left", box=box.SIMPLE_HEAD)
    for name in HEADER:
        table.add_column(name, justify="left" if name == "arm" else "right", no_wrap=name != "arm", overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    console = Console()
    # A pipe or a log file has no width: do not cut names to 80 columns there.
    (console if console.is_terminal else Console(width=120)).print(table)


def _markdown(title: str, rows: Sequence[Row]) -> str:
    lines = [f"**{title}**", "", "| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join([*lines, "", _note(rows), ""])
