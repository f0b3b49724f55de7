"""Random negatives: any document of the corpus but a known positive."""

from __future__ import annotations

import numpy as np

from hardneg.negatives.base import Draw, OfflineSource, Setting, pad


class Random(OfflineSource):
    """Draw `k` different documents uniformly from the corpus, known positives left out."""

    def prepare(self, setting: Setting) -> None:
        """Remember the corpus size and the known positives."""
        self.corpus_size = len(setting.training.data.corpus)
        self.known = setting.training.known

    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` documents; fewer, padded, only where the corpus has no more."""
        known = self.known[query]
        # Enough draws for k survivors even if every known positive comes up, and without a permutation of the corpus.
        enough = min(self.k + len(known), self.corpus_size)
        ids = rng.choice(self.corpus_size, enough, replace=False, shuffle=True)
        return Draw(pad(ids[~np.isin(ids, known)][: self.k], self.k))
