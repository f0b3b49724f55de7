"""The figure of a race: each arm's dev metric over its training time, how it ended, and the test at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardneg.compare.figures import looks
from hardneg.system.figure_style import style

GREY = "#888888"
MARKS = {"worse": ("x", "stopped: worse"), "no time": ("s", "stopped: no time"), "whole": ("o", "whole run")}


@dataclass(frozen=True)
class Line:
    """One arm: seconds of training and dev metric, and how it ended, a key of `MARKS`."""

    name: str
    points: Sequence[tuple[float, float]]
    end: str


@style()
def draw(
    path: Path,
    lines: Sequence[Line],
    tested: Mapping[str, Mapping[str, float]],
    metric: str,
    baseline: str,
    rungs: Sequence[float] = (),
) -> None:
    """Draw the race beside the test of the arms that were trained anew, or alone where there is no test.

    `rungs` are the seconds of training at which there was a look.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(12.5 if tested else 8.0, 3.8), layout="constrained")
    axes = figure.subplots(1, 2 if tested else 1, squeeze=False, width_ratios=[3, 2][: 2 if tested else 1])[0]
    left, colours = axes[0], {line.name: looks(n)[0] for n, line in enumerate(lines)}
    for at in rungs:
        left.axvline(at, color=GREY, linewidth=0.5, linestyle=":", zorder=0)
    for number, line in enumerate(lines):
        if not line.points:
            continue
        seconds, values = zip(*line.points, strict=True)
        colour, dashes = looks(number)
        width = 2.2 if line.name == baseline else 1.3
        left.plot(seconds, values, linestyle=dashes, color=colour, linewidth=width, label=line.name)
        left.plot(seconds[-1:], values[-1:], marker=MARKS[line.end][0], color=colour, markersize=7)
    left.set(title=f"the race: dev {metric} (one seed)", xlabel="seconds of training; dotted: the rungs")
    left.set_xlim(left=0)
    ends = [mark for key, mark in MARKS.items() if any(line.end == key for line in lines)]
    signs = [Line2D([], [], marker=sign, linestyle="", color=GREY, label=said) for sign, said in ends]
    handles = [*left.get_legend_handles_labels()[0], *signs]
    left.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))  # beside: arms lie anywhere
    if tested:
        names = list(tested)
        bars = axes[1].barh(names, [tested[n][metric] for n in names], color=[colours.get(n, GREY) for n in names])
        axes[1].bar_label(bars, fmt="%.3f", padding=3)
        axes[1].set(title=f"test {metric}, trained again (means over seeds)")
        axes[1].set_xlim(0, max(tested[n][metric] for n in names) * 1.15 or 1)
        axes[1].invert_yaxis()
    figure.savefig(path)
