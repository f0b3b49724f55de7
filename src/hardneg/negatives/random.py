"""Random negatives: any document of the query's data set but a known positive."""

from __future__ import annotations

import numpy as np

from hardneg.negatives.base import Draw, OfflineSource, Setting, pad


class Random(OfflineSource):
    """Draw `k` different documents uniformly from the corpus, known positives left out; of several sets, its own's."""

    def prepare(self, setting: Setting) -> None:
        """Remember which documents each query may get, and which are none of its negatives."""
        data = setting.training.data
        self.docs, self.part = [part.docs for part in data.parts], data.parts_of(np.arange(len(data.queries)))
        self.excluded = setting.training.excluded

    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` documents; fewer, padded, only where the set has no more."""
        excluded, docs = self.excluded[query], self.docs[self.part[query]]
        # Enough draws for k survivors even if all that is excluded comes up, and without a permutation of the corpus.
        enough = min(self.k + len(excluded), len(docs))
        ids = rng.choice(len(docs), enough, replace=False, shuffle=True) + docs.start
        return Draw(pad(ids[~np.isin(ids, excluded)][: self.k], self.k))
