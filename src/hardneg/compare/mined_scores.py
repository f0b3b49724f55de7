"""The scores of mined lists: those of positives, kept and dropped candidates, as long as the stores exist."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from hardneg.compare.arms import Arm
from hardneg.compare.one_run import FinishedRun
from hardneg.config import composition, started_with
from hardneg.mining.score_histograms import kinds, legend, outlines
from hardneg.mining.store import Store
from hardneg.system.cache import owner_name
from hardneg.system.cache_folder import HELD
from hardneg.system.figure_style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


log = logging.getLogger(__name__)


def stores(run: FinishedRun) -> Iterator[Store]:
    """Yield the stores that the run holds in the cache, oldest first; none where it or its cache has moved."""
    written = started_with.config_of(run.folder)
    if written is None:
        return
    composition.register_resolvers()
    cache = OmegaConf.select(written, "cache")
    if cache is None:
        return
    folder = Path(cache) / "stores"
    held = sorted(folder.glob(f"*{HELD}{owner_name(run.folder.resolve())}"), key=lambda path: path.stat().st_mtime)
    for note in held:
        store = folder / note.name.split(HELD)[0]
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
            outlines(ax, kinds(store))
            ax.set(title=f"{name}\n{which if len(shown) > 1 else 'mined list'}", xlabel="the miner's score", yticks=[])
    legend(figure)
    return figure
