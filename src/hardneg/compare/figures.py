"""The figures of a comparison: intervals, learning curves, and what each source did."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from hardneg.compare import mined_scores
from hardneg.compare.arms import Arm
from hardneg.compare.comparison import Comparison
from hardneg.compare.one_run import FinishedRun
from hardneg.system.figure_style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which everybody can tell apart; then the same with other dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


def draw(
    folder: Path, form: str, tables: Mapping[str, Sequence[Comparison]], by_data: Mapping[str, Mapping[str, Arm]]
) -> Iterator[Path]:
    """Write every figure that the runs have data for, and yield its path; `tables` are those of each data."""
    folder.mkdir(parents=True, exist_ok=True)
    for data, by_arm in by_data.items():
        mine = tables[data]
        drawn: dict[str, Figure | None] = {
            "effects": effects(mine),
            "curves": curves(by_arm, [table.plan.metric for table in mine]),
            "sources": sources(by_arm),
            "scores": mined_scores.scores(by_arm),
        }
        for name, figure in drawn.items():
            if figure is not None:
                path = folder / f"{data}-{name}.{form}"
                with style():
                    figure.savefig(path)
                yield path


@style()
def effects(tables: Sequence[Comparison]) -> Figure | None:
    """Draw the difference of each arm with its interval, one panel a metric; hollow: exploratory."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = [row.arm for row in tables[0].rows if row.contrast is not None]
    if not names:
        return None
    height = 1.3 + 0.42 * len(names)
    figure = Figure(figsize=(3.2 + 3.6 * len(tables), height), layout="constrained")
    axes = figure.subplots(1, len(tables), sharey=True, squeeze=False)
    for ax, table in zip(axes[0], tables, strict=True):
        if table.plan.margin is not None:
            ax.axvspan(-table.plan.margin, table.plan.margin, color="#000000", alpha=0.07, linewidth=0)
        ax.axvline(0, color="#888888", linewidth=0.8)
        for place, name in enumerate(names):
            contrast = table.contrasts.get(name)
            if contrast is None:
                continue
            low, high = contrast.difference.interval()
            colour = COLOURS[0] if contrast.p < 0.05 else "#777777"
            if np.isfinite([low, high]).all():
                ax.plot([low, high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
            face = colour if contrast.primary else "white"
            ax.plot(contrast.difference.mean, place, "o", color=colour, markerfacecolor=face, markersize=6)
        ax.set(title=f"{table.data}: test {table.plan.metric}", xlabel=f"difference to {_wrapped(table.baseline, 40)}")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.tick_params(axis="y", length=0)
    axes[0, 0].set_yticks(range(len(names)), [_wrapped(name) for name in names])
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    return figure


@style()
def curves(by_arm: Mapping[str, Arm], metrics: Sequence[str]) -> Figure | None:
    """Draw the dev metrics over steps: mean over seeds, and the band between the lowest and the highest."""

    def measured(run: FinishedRun, metric: str) -> tuple[list[float], list[float]]:
        history = run.summary.get("dev", {}).get("history") or []
        rows = [row for row in history if f"val/{metric}" in row]
        if rows:
            return [float(row["step"]) for row in rows], [row[f"val/{metric}"] for row in rows]
        return run.history(f"val/{metric}")

    panels = {f"dev {metric}": lambda run, metric=metric: measured(run, metric) for metric in metrics}
    return _over_steps(by_arm, panels)


@style()
def sources(by_arm: Mapping[str, Arm]) -> Figure | None:
    """Draw loss and kept share of each negative source over steps, and of mining by round what it kept and found."""
    keys = sorted({key for arm in by_arm.values() for run in arm.runs.values() for key in run.logged})
    ends = [("negatives/", "/loss"), ("negatives/", "/kept"), ("mining/", "/kept"), ("mining/", "/recall")]
    wanted = [key for start, end in ends for key in keys if key.startswith(start) and key.endswith(end)]
    titles = {_panel(key): key for key in wanted if key.count("/") == 2}
    panels = {title: lambda run, key=key: run.history(key) for title, key in titles.items()}
    shares = {title for title, key in titles.items() if not key.endswith("/loss")}
    return _over_steps(by_arm, panels, shares, columns=max(1, len(titles) - len(shares)))


def _panel(key: str) -> str:
    where, source, what = key.split("/")
    return f"{source}: {what.replace('_', ' ')}{' when mined' if where == 'mining' else ''}"


Measured = Callable[[FinishedRun], tuple[list[float], list[float]]]


def _over_steps(
    by_arm: Mapping[str, Arm], panels: Mapping[str, Measured], shares: Collection[str] = (), columns: int = 3
) -> Figure | None:
    """One panel a quantity, those of `shares` from 0 to 1, one line an arm; the legend stands below all of them."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    found = {title: {name: band(arm, measured) for name, arm in by_arm.items()} for title, measured in panels.items()}
    drawn = {title: {n: c for n, c in curves.items() if c is not None} for title, curves in found.items()}
    drawn = {title: curves for title, curves in drawn.items() if curves}
    if not drawn:
        return None
    columns = min(columns, len(drawn), 4)
    rows = -(-len(drawn) // columns)
    names = [name for name in by_arm if any(name in shown for shown in drawn.values())]
    size = (max(4.6, 3.4 * columns), 2.6 * rows + 0.22 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, (title, shown) in zip(axes.flat, drawn.items(), strict=False):
        for name, curve in shown.items():
            _line(ax, curve, name, list(by_arm).index(name))
        ax.set(title=title, xlabel="step")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if title in shares:
            ax.set_ylim(0, 1.05)
    for ax in axes.flat[len(drawn) :]:
        ax.set_axis_off()
    lines = {str(line.get_label()): line for ax in axes.flat for line in ax.get_lines()}
    figure.legend([lines[name] for name in names], names, loc="outside lower left", fontsize=8)
    return figure


def looks(number: int) -> tuple[str, Any]:
    """The colour and the dashes of a figure's line, by its number."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def _line(ax: Axes, curve: Float[np.ndarray, "4 n"], name: str, number: int) -> None:
    steps, mean, low, high = curve
    colour, dashes = looks(number)
    mark = "o" if len(steps) <= 12 else None
    ax.plot(steps, mean, color=colour, linestyle=dashes, label=name, linewidth=1.5, marker=mark, markersize=3.5)
    ax.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)


def band(arm: Arm, measured: Measured) -> Float[np.ndarray, "4 n"] | None:
    """Return steps, mean, lowest and highest over the seeds, at the steps that all runs with any have."""
    found = [dict(zip(*curve, strict=True)) for run in arm.runs.values() if (curve := measured(run))[0]]
    if not found:
        return None
    steps = sorted(set.intersection(*(set(curve) for curve in found)))
    values = np.array([[curve[step] for step in steps] for curve in found])
    return np.stack([np.array(steps, float), values.mean(0), values.min(0), values.max(0)]) if steps else None


def _wrapped(name: str, width: int = 34) -> str:
    return "\n".join(textwrap.wrap(name, width, break_on_hyphens=False))
