"""Histograms of the miner's scores: of positives, kept and dropped candidates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hardneg.mining.health import BLOCK, pool_of
from hardneg.mining.store import KEPT, Store
from hardneg.system.figure_style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LOOKS = {
    "positive": ("#009E73", "-"), "kept": ("#0072B2", "-"), "known_positives": ("#D55E00", "--"),
    "relative_margin": ("#CC79A7", "--"), "absolute_margin": ("#E69F00", "--"), "rank_window": ("#56B4E9", "--"),
    "score_window": ("#000000", "--"), "duplicates": ("#D55E00", ":"), "teacher_score": ("#CC79A7", ":"),
    "may be drawn": ("#0072B2", "-"), "dropped": ("#888888", "--"),
}  # fmt: skip


@style()
def histogram(stores: Mapping[str, Store]) -> Figure:
    """Draw stores of one miner side by side on one axis of scores: positives, kept, and dropped by each filter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.6, 4.0 * len(stores)), 2.9), layout="constrained")
    for ax, (title, store) in zip(
        figure.subplots(1, len(stores), sharex=True, squeeze=False)[0], stores.items(), strict=True
    ):
        outlines(ax, kinds(store))
        ax.set(title=title, xlabel="the miner's score", yticks=[])
    legend(figure)
    return figure


@style()
def draw(path: Path, name: str, store: Store, pool: int) -> None:
    """Draw the scores of positives, of the `pool` from which negatives are drawn, and of what was dropped to a file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    ax = figure.subplots()
    outlines(ax, of_pool(store, pool))
    ax.set(title=name, xlabel="the miner's score", yticks=[])
    legend(figure)
    figure.savefig(path)


def legend(figure: Figure) -> None:
    """Name each kind once, below all panels."""
    handles = {
        str(label): handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower left", ncols=3, fontsize=8)


def outlines(ax: Axes, parts: Mapping[str, np.ndarray]) -> None:
    """Draw outlines of equal area over pale fills; a kind looks the same in every panel."""
    if not parts:
        return
    edges = np.histogram_bin_edges(np.concatenate(list(parts.values())), 40).tolist()
    for kind, values in parts.items():
        colour, dashes = LOOKS.get(kind.removeprefix("dropped: "), ("#000000", ":"))
        ax.hist(values, edges, density=True, histtype="stepfilled", color=colour, alpha=0.12)
        ax.hist(values, edges, density=True, histtype="step", color=colour, linestyle=dashes, label=kind)


def kinds(store: Store) -> dict[str, np.ndarray]:
    """Return the finite scores of positives, of kept candidates and of what each filter dropped; no empty ones."""
    listed, mined = store.ids >= 0, store.mined
    out = {"positive": store.positive[mined], "kept": store.scores[listed & (store.reasons == KEPT)]}
    for code, name in enumerate(store.card["reasons"]):
        if code != KEPT:
            out[f"dropped: {name}"] = store.scores[listed & (store.reasons == code)]
    return _finite(out)


def of_pool(store: Store, pool: int) -> dict[str, np.ndarray]:
    """Return the same of positives, of what may be drawn, and of all that was dropped."""
    drawn, out = [], []
    for start in range(0, len(store.ids), BLOCK):
        rows = slice(start, start + BLOCK)
        drawn.append(store.scores[rows][pool_of(store, rows, pool)])
        out.append(store.scores[rows][(store.ids[rows] >= 0) & (store.reasons[rows] != KEPT)])
    positives = store.positive[store.mined]
    return _finite({"positive": positives, "may be drawn": np.concatenate(drawn), "dropped": np.concatenate(out)})


def _finite(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    finite = {name: values[np.isfinite(values)] for name, values in parts.items()}
    return {name: values for name, values in finite.items() if values.size}
