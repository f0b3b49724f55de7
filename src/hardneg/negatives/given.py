"""Given negatives: those that the data itself names for each query."""

from __future__ import annotations

import numpy as np

from hardneg.errors import ConfigError
from hardneg.negatives.base import Draw, OfflineSource, Setting, pad


class Given(OfflineSource):
    """Draw from the `negative` or `neg` lists of the data file (sentence-transformers triples, FlagEmbedding lines)."""

    def prepare(self, setting: Setting) -> None:
        """Keep the lists, known positives left out; raises `ConfigError` where the data names no negatives."""
        data = setting.training.data
        if data.given is None:
            raise ConfigError(
                f"negatives.given needs data that names negatives, but {data.name!r} has none; use data=jsonl with"
                " triples, or another source"
            )
        self.lists, self.excluded = data.given, setting.training.excluded

    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` of the query's given negatives in random order."""
        ids = self.lists[query]
        ids = ids[~np.isin(ids, self.excluded[query])]
        return Draw(pad(rng.permutation(ids)[: self.k], self.k))
