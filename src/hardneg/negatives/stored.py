"""Stored negatives: drawn from lists that a miner wrote before training (BM25 now, models and cross-encoders alike)."""

from __future__ import annotations

import numpy as np

from hardneg.errors import ConfigError
from hardneg.mining.base import Miner
from hardneg.mining.pipeline import mine_and_store
from hardneg.negatives.base import Draw, OfflineSource, Setting, pad

SAMPLING = ("uniform", "top")


class Stored(OfflineSource):
    """Draw `k` of the first `pool` kept documents of each query's mined list.

    `depth` is how many documents the miner lists a query. `sampling` is `uniform` over the pool (ANCE draws from the
    top 200, arXiv:2007.00808) or `top`, always the hardest.
    """

    def __init__(
        self, k: int, miner: Miner, depth: int = 100, pool: int | None = None, sampling: str = "uniform"
    ) -> None:
        super().__init__(k)
        pool = depth if pool is None else pool
        if not k <= pool <= depth:
            raise ConfigError(f"a mined source needs k <= pool <= depth, got k={k}, pool={pool}, depth={depth}")
        if sampling not in SAMPLING:
            raise ConfigError(f"sampling must be one of {', '.join(SAMPLING)}, got {sampling!r}")
        self.miner, self.depth, self.pool, self.sampling = miner, depth, pool, sampling

    def prepare(self, setting: Setting) -> None:
        """Open the store of this miner, data and filters, or mine it first."""
        training = setting.training
        self.store = mine_and_store(self.miner, training, setting.filters, self.depth, setting.cache)

    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw from the kept part of the query's list; a list left short by the filters stays short."""
        pool = self.store.kept(query)[: self.pool]
        if self.sampling == "uniform":
            pool = rng.permutation(pool)
        return Draw(pad(pool[: self.k], self.k))

    def report(self) -> dict[str, float]:
        """The store's own numbers: hit rate, queries left short of `k`, seconds."""
        return self.store.report(self.k)
