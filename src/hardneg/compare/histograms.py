"""The scores of mined lists: where positives, kept and dropped candidates lie, as long as the stores are there."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import OmegaConf

from hardneg import configs
from hardneg.compare.arms import Arm
from hardneg.compare.runs import FinishedRun
from hardneg.compare.style import style
from hardneg.data.cache import owner_name
from hardneg.mining.store import KEPT, Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "positive": ("#009E73", "-"), "kept": ("#0072B2", "-"), "known_positives": ("#D55E00", "--"),
    "relative_margin": ("#CC79A7", "--"), "absolute_margin": ("#E69F00", "--"), "rank_window": ("#56B4E9", "--"),
    "score_window": ("#000000", "--"), "duplicates": ("#D55E00", ":"), "teacher_score": ("#CC79A7", ":"),
}  # fmt: skip

log = logging.getLogger(__name__)


def stores(run: FinishedRun) -> Iterator[Store]:
    """Yield the stores that the run holds in the cache, oldest first; none where it or its cache has moved."""
    written = run.folder / ".hydra" / "config.yaml"
    if not written.exists():
        return
    configs.register_resolvers()
    cache = OmegaConf.select(OmegaConf.load(written), "cache")
    if cache is None:
        return
    folder = Path(cache) / "stores"
    held = sorted(folder.glob(f"*.held-{owner_name(run.folder.resolve())}"), key=lambda path: path.stat().st_mtime)
    for note in held:
        store = folder / note.name.split(".held-")[0]
        if (store / "card.json").exists():
            yield Store(store)


@style()
def scores(by_arm: Mapping[str, Arm]) -> Figure | None:
    """Draw the first and the last store of each arm's first run: positives, kept, and dropped by each filter."""
    from matplotlib.figure import Figure

    rows = {}
    for name, arm in by_arm.items():
        run = next(iter(arm.runs.values()))
        if found := list(stores(run)):
            rows[name] = [found[0], found[-1]] if len(found) > 1 else found
        elif "depth" in {key.rsplit(".", 1)[-1] for key in run.config if key.startswith("negatives.")}:
            log.warning("no histogram of scores for %s: its mined lists are not in the cache (HARDNEG_CACHE)", name)
    if not rows:
        return None
    columns = max(map(len, rows.values()))
    size = (4.4 * columns, 2.2 * len(rows) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, shown) in zip(axes, rows.items(), strict=True):
        for ax in line[len(shown) :]:
            ax.set_axis_off()
        for ax, store, which in zip(line, shown, ("first list", "last list"), strict=False):
            _histogram(ax, kinds(store))
            ax.set(title=f"{name}\n{which if len(shown) > 1 else 'mined list'}", xlabel="the miner's score", yticks=[])
    _legend(figure)
    return figure


@style()
def histogram(stores: Mapping[str, Store]) -> Figure:
    """Draw stores of one miner side by side on one axis of scores: positives, kept, and dropped by each filter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.6, 4.0 * len(stores)), 2.9), layout="constrained")
    for ax, (title, store) in zip(
        figure.subplots(1, len(stores), sharex=True, squeeze=False)[0], stores.items(), strict=True
    ):
        _histogram(ax, kinds(store))
        ax.set(title=title, xlabel="the miner's score", yticks=[])
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """Name each kind once, below all panels."""
    handles = {
        str(label): handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower left", ncols=3, fontsize=8)


def _histogram(ax: Axes, parts: Mapping[str, np.ndarray]) -> None:
    """Draw outlines of equal area over pale fills; a kind looks the same in every panel."""
    edges = np.histogram_bin_edges(np.concatenate(list(parts.values())), 40).tolist()
    for kind, values in parts.items():
        colour, dashes = LOOKS.get(kind.removeprefix("dropped: "), ("#000000", ":"))
        ax.hist(values, edges, density=True, histtype="stepfilled", color=colour, alpha=0.12)
        ax.hist(values, edges, density=True, histtype="step", color=colour, linestyle=dashes, label=kind)


def kinds(store: Store) -> dict[str, np.ndarray]:
    """Return the finite scores of positives, of kept candidates and of those that each filter dropped; only what is."""
    listed, mined = store.ids >= 0, store.mined
    out = {"positive": store.positive[mined], "kept": store.scores[listed & (store.reasons == KEPT)]}
    for code, name in enumerate(store.card["reasons"]):
        if code != KEPT:
            out[f"dropped: {name}"] = store.scores[listed & (store.reasons == code)]
    finite = {name: values[np.isfinite(values)] for name, values in out.items()}
    return {name: values for name, values in finite.items() if values.size}
