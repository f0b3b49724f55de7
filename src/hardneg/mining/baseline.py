"""A miner as a baseline: its ranking of an evaluation split, computed once for all jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardneg.data.cache import built_once, fingerprint
from hardneg.data.tables import RetrievalData
from hardneg.mining.base import Miner
from hardneg.retrieval.metrics import Run


def baseline_run(miner: Miner, data: RetrievalData, split: str, depth: int, cache: Path) -> Run:
    """Return the miner's `depth` best documents of each query of the split, from the cache where it is there."""
    rows = data.split(split).query_rows
    key = fingerprint([miner.identity(), data.corpus.fingerprint, data.queries.fingerprint, rows.tolist(), depth])

    def build(folder: Path) -> None:
        hits = miner.mine(data.queries.take(rows), data.corpus, depth)
        np.save(folder / "ids.npy", hits.ids)
        np.save(folder / "scores.npy", hits.scores)

    folder = built_once(cache / "baselines" / key, build)
    return Run(rows, np.load(folder / "ids.npy"), np.load(folder / "scores.npy"))
