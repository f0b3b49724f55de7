"""How many of the known positives a miner finds, which tells whether it ranks at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Int32

from hardneg.data.ragged import Ragged
from hardneg.data.training_set import TrainingSet
from hardneg.mining.base import Miner, mining_pool
from hardneg.mining.baseline import baseline_run
from hardneg.mining.store import Store
from hardneg.retrieval.retriever import seen


def findable(training: TrainingSet, documents: str = "all") -> Ragged:
    """Return, by query row, the training queries' known positives that a miner of these documents can find."""
    known = training.known
    keep = np.isin(known.row_ids, training.queries)
    if documents != "all":
        keep &= np.isin(known.values, mining_pool(training, documents))
    return Ragged.of(known.row_ids[keep], known.values[keep], len(known))


def found_of(
    ids: Int[np.ndarray, "Q K"], known: Ragged, queries: Int[np.ndarray, " Q"], depth: int
) -> tuple[Int[np.ndarray, " Q"], Int[np.ndarray, " Q"]]:
    """Count, for each query, the known positives among its first `depth` documents, and those that could be there."""
    top, positives = ids[:, :depth], known.padded(queries)
    found = np.zeros(len(ids), np.int64)
    for column in positives.T:  # one pass per positive, to avoid a (Q, K, P) array
        found += ((top == column[:, None]) & (column[:, None] >= 0)).any(axis=1)
    return found, np.minimum(known.counts[queries], depth)


@dataclass(frozen=True)
class BesideBM25:
    """Compares a miner's recall of known positives with BM25's, on a limited number of training queries."""

    bm25: Miner
    training: TrainingSet
    cache: Path
    queries: int

    def recalls(
        self, store: Store, depth: int, documents: str
    ) -> tuple[Float[np.ndarray, " Q"], Float[np.ndarray, " Q"]]:
        """Return both recalls at `depth`, query by query: the miner's, from its store, and BM25's."""
        data, known = self.training.data, findable(self.training, documents)
        able = self.training.queries[known.counts[self.training.queries] > 0]
        some: Int32[np.ndarray, " Q"] = np.sort(np.random.default_rng(0).permutation(able)[: self.queries])
        pool = None if documents == "all" else mining_pool(self.training, documents)
        run = baseline_run(self.bm25, data, self.training.split, depth, self.cache, seen(data, None), some, pool)
        counts = [found_of(ids, known, some, depth) for ids in (store.ids[some], run.ids)]
        miner, bm25 = (found / wanted for found, wanted in counts)
        return miner, bm25
