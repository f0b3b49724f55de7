"""A miner as a baseline: its ranking of an evaluation split, computed once for all jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardneg.data.cache import built_once, fingerprint
from hardneg.data.tables import RetrievalData
from hardneg.mining.base import Miner
from hardneg.retrieval.metrics import Run


def baseline_run(miner: Miner, data: RetrievalData, split: str, depth: int, cache: Path) -> Run:
    """Return the miner's `depth` best documents of each query of the split, from the cache where it is there.

    Of several data sets in one each is indexed on its own, and a query ranks the documents of its own.
    """
    rows = data.split(split).query_rows
    named = [miner.identity(), data.corpus.fingerprint, data.queries.fingerprint, rows.tolist(), depth]
    key = fingerprint([*named, data.bounds] if data.bounds else named)

    def build(folder: Path) -> None:
        ids, scores = [np.empty((0, depth), np.int32)], [np.empty((0, depth), np.float32)]
        for part, here in data.by_part(rows):
            hits = miner.mine(data.queries.take(rows[here]), data.corpus.slice(part.docs), depth)
            ids.append(np.where(hits.ids >= 0, hits.ids + np.int32(part.docs.start), np.int32(-1)))
            scores.append(hits.scores)
        np.save(folder / "ids.npy", np.concatenate(ids))
        np.save(folder / "scores.npy", np.concatenate(scores))

    folder = built_once(cache / "baselines" / key, build)
    return Run(rows, np.load(folder / "ids.npy"), np.load(folder / "scores.npy"))
