"""The figures of an A/B report: who wins and loses, which slices, and where relevant documents went."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hardneg.ab.report import Report
from hardneg.compare.figures import COLOURS
from hardneg.system.figure_style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.6  # inches: as wide as a phone, so that letters keep their size there
POINTS = 1000  # of a curve: more would only make the page heavy
WIN, LOSS, SAME = COLOURS[0], COLOURS[1], "#777777"


def draw(report: Report) -> Iterator[tuple[str, Figure]]:
    """Yield every figure with what it shows, for a reader that cannot see it."""
    with style():
        made = [
            ("Difference of every query, sorted", deltas(report)),
            ("Where relevant documents stood and stand", movement(report)),
        ]
        if report.slices:
            made.append(("Difference of each slice, with 95% interval", by_slice(report)))
        yield from made


def deltas(report: Report) -> Figure:
    """Draw the difference of every query, best first: how many win or lose, and how much."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    ax = figure.subplots()
    values = np.sort(report.delta)[::-1]
    queries = len(values)
    values = values[np.linspace(0, queries - 1, min(queries, POINTS)).astype(int)]
    edges = np.linspace(0, queries, len(values) + 1)
    won, tied, lost = report.effect.wins
    for sign, colour in ((1, WIN), (-1, LOSS)):
        kept = np.where(sign * values > 0, values, 0.0)
        ax.stairs(kept, edges, fill=True, color=colour, linewidth=0)
    ax.axhline(0, color=SAME, linewidth=0.8)
    ax.axhline(report.effect.difference.mean, color="black", linewidth=0.8, linestyle="--")
    ax.set(
        title=f"{won} won, {tied} tied, {lost} lost",
        xlabel="queries, sorted",
        ylabel=f"new - old, {report.effect.name}",
    )
    ax.set_xlim(0, queries)
    return figure


def by_slice(report: Report) -> Figure:
    """Draw the difference of each slice with its interval, below that of all queries."""
    from matplotlib.figure import Figure

    rows = [("all", report.effect), *((one.name, one) for one in report.slices)]
    height = 0.9 + 0.36 * len(rows)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color=SAME, linewidth=0.8)
    if report.plan.gate.slice is not None:
        ax.axvline(report.plan.gate.slice, color=LOSS, linewidth=0.8, linestyle=":")
    for place, (_, one) in enumerate(rows):
        colour = WIN if one.low > 0 else LOSS if one.high < 0 else SAME
        if np.isfinite([one.low, one.high]).all():
            ax.plot([one.low, one.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
        ax.plot(one.difference.mean, place, "o", color=colour, markersize=5)
    ax.set_yticks(range(len(rows)), ["\n".join(textwrap.wrap(f"{name} ({one.queries})", 24)) for name, one in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0, labelsize=7.5)
    ax.set(xlabel=f"new - old, {report.effect.name}")
    return figure


def movement(report: Report) -> Figure:
    """Draw a table of counts: the rank of every relevant document in OLD and in NEW."""
    from matplotlib.figure import Figure

    counts, names = moves(report)
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    ax = figure.subplots()
    places = np.arange(len(names))
    # Shapes, not an image: a browser would blur it.
    ax.pcolormesh(places, places, np.sqrt(counts), cmap="Greys", shading="nearest", vmin=0, edgecolors="#eeeeee")
    ax.invert_yaxis()
    for (row, column), count in np.ndenumerate(counts):
        if count:
            _number(ax, row, column, int(count), dark=bool(count > 0.2 * counts.max()))
    ax.set_xticks(places, names)
    ax.set_yticks(places, names)
    ax.set(xlabel="rank in new", ylabel="rank in old", title="relevant documents")
    ax.tick_params(length=0)
    return figure


def _number(ax: Axes, row: int, column: int, count: int, dark: bool) -> None:
    colour = "white" if dark else WIN if column < row else LOSS if column > row else "black"
    ax.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8, fontweight="bold")


def moves(report: Report) -> tuple[np.ndarray, list[str]]:
    """Count relevant documents by where they were (row) and are (column): ranges of ranks, the last is not found."""
    k = report.plan.k
    ends = sorted({1, 3, k, 10 * k})
    starts = [1, *(end + 1 for end in ends[:-1])]
    names = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
    counts = np.zeros((len(ends) + 1, len(ends) + 1), int)
    for move in report.changes.moves:
        places = [len(ends) if rank is None else int(np.searchsorted(ends, rank)) for rank in (move.old, move.new)]
        counts[places[0], places[1]] += 1
    return counts, [*names, "none"]


def svg(figure: Figure, salt: str) -> str:
    """Return a figure as SVG to stand inside a page: letters as letters, ids that no other figure has, no date."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Groups are called axes_1, text_3, ... in every figure, and in a page ids must differ.
    return re.sub(r'<g id="[^"]*"', "<g", drawn)
