"""The figure of a run: what training did, beside the baselines."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from hardneg.system.figure_style import style

GREY, BLUE = "#888888", "#3465a4"


@style()
def draw(
    path: Path,
    metrics_csv: Path,
    history: list[dict[str, int | float]],
    test: Mapping[str, float],
    metric: str,
    sets: int = 1,
) -> None:
    """Draw side by side: dev metric over steps, loss of each source over steps, test metric of each system.

    Of several test `sets` the last is their mean, and is called so.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot([h["step"] for h in history], [h[f"val/{metric}"] for h in history], "o-", color=BLUE)
    left.set(title=f"dev {metric}", xlabel="step")
    for name, (steps, values) in _source_losses(metrics_csv).items():
        middle.plot(steps, values, label=name, linewidth=1.2)
    middle.set(title="loss of each negative source", xlabel="step")
    if middle.get_lines():  # a run of few steps has none
        middle.legend()
    bars = right.barh(list(test), list(test.values()), color=[GREY] * (len(test) - 1) + [BLUE])
    right.bar_label(bars, fmt="%.3f", padding=3)
    of = f", mean of {sets} sets" if sets > 1 else ""
    right.set(title=f"test {metric}{of}", xlim=(0, max(test.values(), default=1) * 1.2 or 1))
    right.invert_yaxis()
    figure.savefig(path)


def _source_losses(metrics_csv: Path) -> dict[str, tuple[list[int], list[float]]]:
    curves: dict[str, tuple[list[int], list[float]]] = {}
    if not metrics_csv.exists():
        return curves
    with metrics_csv.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                parts = key.split("/")
                if parts[0] == "negatives" and parts[-1] == "loss" and value:
                    steps, values = curves.setdefault(parts[1], ([], []))
                    steps.append(int(row["step"]))
                    values.append(float(value))
    return curves
