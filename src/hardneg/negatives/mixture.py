"""One draw from all offline sources together: the negatives of a row, each with its label."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.negatives.base import OfflineSource
from hardneg.negatives.curriculum import Curriculum

ROUNDING = zlib.crc32(b"curriculum")  # the stream that rounds a curriculum's shares to whole slots


class Mixture:
    """Draw from each source in turn; `k` per source makes the hard:random ratio two numbers.

    A draw is a pure function of (seed, epoch, query, source name): workers, ranks and resumed runs agree, and adding a
    source leaves the others' draws as they were, so that arms of a study stay paired. With a `curriculum` the sources
    that it names share its slots, in numbers that change from batch to batch.
    """

    def __init__(
        self,
        sources: Mapping[str, OfflineSource],
        names: tuple[str, ...],
        seed: int,
        curriculum: Curriculum | None = None,
    ) -> None:
        self.sources = dict(sources)
        self.labels = {name: names.index(name) for name in sources}
        self.streams = {name: zlib.crc32(name.encode()) for name in sources}
        self.seed, self.curriculum = seed, curriculum
        self.sharing = [] if curriculum is None else curriculum.drawn(sources)
        alone = sum(source.k for name, source in sources.items() if name not in self.sharing)
        self.k = alone + ((curriculum.slots or 0) if curriculum is not None and self.sharing else 0)
        self.has_teacher = any(source.has_teacher for source in sources.values())
        self.relabels = any(source.relabels for source in sources.values())

    @property
    def version(self) -> tuple[int, ...]:
        """Changes when a source, or the curriculum's pace, would have it draw otherwise than before."""
        pace = 0 if self.curriculum is None else self.curriculum.pace.version
        return (pace, *(source.version for source in self.sources.values()))

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
        self, epoch: int, query: int, batch: int = 0
    ) -> tuple[Int32[np.ndarray, " k"], Int32[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
        """Return ids, source labels and teacher scores (NaN = unknown) of the row's negatives.

        `batch` is the number of the row's batch in the run, for a curriculum.
        """
        ids, teacher = np.full(self.k, -1, np.int32), np.full(self.k, np.nan, np.float32)
        labels = np.full(self.k, max(self.labels.values(), default=0), np.int32)  # an empty slot is no positive
        progress = 0.0 if self.curriculum is None else self.curriculum.pace.progress(batch)
        end = 0
        for name, count in self._counts(epoch, query, progress).items():
            start, end = end, end + count
            if not count:
                continue
            rng = np.random.default_rng((self.seed, epoch, query, self.streams[name]))
            window = None if self.curriculum is None else self.curriculum.window_at(name, progress)
            drawn = self.sources[name].draw(query, rng, **({} if window is None else {"window": window}))
            ids[start:end] = drawn.ids[:count]
            labels[start:end] = self.labels[name]
            if drawn.teacher is not None:
                teacher[start:end] = drawn.teacher[:count]
        return ids, labels, teacher

    def _counts(self, epoch: int, query: int, progress: float) -> dict[str, int]:
        """How many of the row's slots each source gets."""
        counts = {name: source.k for name, source in self.sources.items()}
        if self.curriculum is not None and self.sharing:
            rng = np.random.default_rng((self.seed, epoch, query, ROUNDING))
            counts |= self.curriculum.counts(self.sharing, progress, rng)
        return counts
