"""Mine, filter, store: the steps between a miner and the lists that training draws from."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from hardneg.candidates import Candidates
from hardneg.data.cache import built_once, fingerprint
from hardneg.data.tables import Ragged
from hardneg.data.training import TrainingSet
from hardneg.filters.base import CandidateFilter
from hardneg.mining.base import Hits, Miner
from hardneg.mining.store import KEPT, Store

log = logging.getLogger(__name__)

BLOCK = 1024  # queries filtered at a time: bounds memory


def mine_and_store(
    miner: Miner, training: TrainingSet, filters: Mapping[str, CandidateFilter], depth: int, cache: Path
) -> Store:
    """Return the store of this miner, data, filters and depth, mining it only if nobody has yet."""
    identity = {
        "miner": miner.identity(),
        "depth": depth,
        "filters": {name: [type(rule).__qualname__, vars(rule)] for name, rule in filters.items()},
        "training": training.fingerprint,
    }
    folder = cache / "stores" / fingerprint(identity)

    def build(unfinished: Path) -> None:
        started = time.perf_counter()
        hits = _mine(miner, training, depth)
        reasons = filter_hits(hits, training.known, filters)
        seconds = round(time.perf_counter() - started, 2)
        Store.write(unfinished, hits, reasons, {**identity, "reasons": ["kept", *filters], "seconds": seconds})
        log.info("mined %s negatives in %.1f s: %s", miner.identity()["miner"], seconds, folder.name)

    return Store(built_once(folder, build))


def _mine(miner: Miner, training: TrainingSet, depth: int) -> Hits:
    """Mine the training queries only; the other rows of the query table stay empty."""
    data = training.data
    # A query's known positives are mined first and filtered out: ask for that many more, so that lists stay full. A
    # few queries with hundreds of positives must not widen every list: beyond `depth` more their lists may fall short.
    width = depth + min(int(training.known.counts[training.queries].max(initial=0)), depth)
    found = miner.mine(data.queries.take(training.queries), data.corpus, min(width, len(data.corpus)))
    ids = np.full((len(data.queries), found.ids.shape[1]), -1, np.int32)
    scores = np.full(ids.shape, -np.inf, np.float32)
    ids[training.queries], scores[training.queries] = found.ids, found.scores
    return Hits(ids, scores)


def filter_hits(hits: Hits, known: Ragged, filters: Mapping[str, CandidateFilter]) -> UInt8[np.ndarray, "Q K"]:
    """Say of every hit which filter dropped it first: code 0 is kept, i is the i-th filter (from 1)."""
    reasons = np.full(hits.ids.shape, KEPT, np.uint8)
    for start in range(0, len(hits.ids), BLOCK):
        rows = slice(start, start + BLOCK)
        ids = torch.from_numpy(hits.ids[rows]).long()
        c = Candidates(
            scores=torch.from_numpy(hits.scores[rows]),
            ids=ids,
            positive=torch.zeros_like(ids, dtype=torch.bool),
            valid=ids >= 0,
            source=torch.ones_like(ids),
            names=("positive", "mined"),
        )
        positives = torch.from_numpy(known.padded(np.arange(start, start + len(ids)))).long()
        for code, rule in enumerate(filters.values(), start=1):
            dropped = c.valid & ~rule(c, positives)
            reasons[rows][dropped.numpy()] = code
            c = c.keep(~dropped)
    return reasons
