"""Random negatives: any document of the query's data set but a known positive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from hardneg.negatives.base import Draw, Draws, OfflineSource, Setting, first_marked, pad


class Random(OfflineSource):
    """Draw `k` different documents uniformly from the corpus, known positives left out; of several sets, its own's."""

    avoids_positives = True
    origin = "random"

    def prepare(self, setting: Setting) -> None:
        """Note which documents each query may get, and which are excluded."""
        data = setting.training.data
        self.docs, self.part = [part.docs for part in data.parts], data.parts_of(np.arange(len(data.queries)))
        self.excluded = setting.training.excluded

    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` documents; fewer, padded, only where the set has no more."""
        excluded, docs = self.excluded[query], self.docs[self.part[query]]
        # Enough draws for k survivors even if all excluded documents come up, without permuting the corpus.
        enough = min(self.k + len(excluded), len(docs))
        ids = rng.choice(len(docs), enough, replace=False, shuffle=True) + docs.start
        return Draw(pad(ids[~np.isin(ids, excluded)][: self.k], self.k))

    def draw_batch(
        self,
        queries: Int[np.ndarray, " n"],
        rngs: Iterator[np.random.Generator],
        window: tuple[int, int] | None = None,
    ) -> Draws:
        """Draw for each query as `draw` does."""
        sizes = np.array([len(docs) for docs in self.docs])[self.part[queries]]
        starts = np.array([docs.start for docs in self.docs])[self.part[queries]]
        enough = np.minimum(self.k + self.excluded.counts[queries], sizes)
        ids = np.full((len(queries), int(enough.max(initial=0))), -1, np.int32)
        rows = zip(sizes.tolist(), enough.tolist(), starts.tolist(), rngs, strict=True)
        for row, (size, count, start, rng) in enumerate(rows):
            ids[row, :count] = rng.choice(size, count, replace=False, shuffle=True) + start
        return Draws(first_marked(ids, (ids >= 0) & ~self.excluded.holds(queries, ids), self.k))
