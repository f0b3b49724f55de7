"""One draw from all offline sources together: the negatives of a row, each with its label."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.negatives.base import OfflineSource


class Mixture:
    """Draw from each source in turn; `k` per source makes the hard:random ratio two numbers.

    A draw is a pure function of (seed, epoch, query, source name): workers, ranks and resumed runs agree, and adding a
    source leaves the others' draws as they were, so that arms of a study stay paired.
    """

    def __init__(self, sources: Mapping[str, OfflineSource], names: tuple[str, ...], seed: int) -> None:
        self.sources = dict(sources)
        self.labels = {name: names.index(name) for name in sources}
        self.streams = {name: zlib.crc32(name.encode()) for name in sources}
        self.seed = seed
        self.k = sum(source.k for source in sources.values())
        self.has_teacher = any(source.has_teacher for source in sources.values())
        self.relabels = any(source.relabels for source in sources.values())

    @property
    def version(self) -> tuple[int, ...]:
        """Changes when a source would draw otherwise than before."""
        return tuple(source.version for source in self.sources.values())

    def positive_teacher(self, query: int, which: int) -> float:
        """The teacher's score of the query's `which`-th labelled positive, from the first source that knows it."""
        scores = (source.positive_teacher(query, which) for source in self.sources.values() if source.has_teacher)
        return next((score for score in scores if not np.isnan(score)), np.nan)

    def relabelled(self, query: int) -> tuple[Int32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """What some source has relabelled as a positive of the query, with the first teacher's score of each."""
        found: dict[int, float] = {}
        for source in self.sources.values():
            if source.relabels and (one := source.relabelled(query)).teacher is not None:
                for doc, score in zip(one.ids.tolist(), one.teacher.tolist(), strict=True):
                    found.setdefault(doc, score)
        return np.array(list(found), np.int32), np.array(list(found.values()), np.float32)

    def draw(
        self, epoch: int, query: int
    ) -> tuple[Int32[np.ndarray, " k"], Int32[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
        """Return ids, source labels and teacher scores (NaN = unknown) of the row's negatives."""
        ids, labels, teacher = (np.empty(self.k, t) for t in (np.int32, np.int32, np.float32))
        end = 0
        for name, source in self.sources.items():
            start, end = end, end + source.k
            drawn = source.draw(query, np.random.default_rng((self.seed, epoch, query, self.streams[name])))
            ids[start:end] = drawn.ids
            labels[start:end] = self.labels[name]
            teacher[start:end] = np.nan if drawn.teacher is None else drawn.teacher
        return ids, labels, teacher
