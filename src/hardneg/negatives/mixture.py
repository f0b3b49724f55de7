"""One draw from all offline sources together: the negatives of a row, each with its label."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int, Int32

from hardneg.negatives.base import OfflineSource
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.per_set import PerSet
from hardneg.negatives.row_streams import RowStreams

ROUNDING_STREAM = zlib.crc32(b"curriculum")  # the stream that rounds a curriculum's shares to whole slots


def slots(sources: Mapping[str, OfflineSource], curriculum: Curriculum | None = None) -> int:
    """How many negatives are drawn for a row; sources that a curriculum moves share its slots."""
    sharing = [] if curriculum is None else curriculum.drawn(sources)
    alone = sum(source.k for name, source in sources.items() if name not in sharing)
    return alone + ((curriculum.slots or 0) if curriculum is not None and sharing else 0)


class Mixture:
    """Draw from each source in turn; `k` per source makes the hard:random ratio two numbers.

    A draw is a pure function of (seed, epoch, query, source name): workers, ranks and resumed runs agree, and adding a
    source leaves the others' draws as they were, so that arms of a study stay paired. With a `curriculum` the sources
    that it names share its slots, in numbers that change from batch to batch. `per_set` gives data sets other numbers.
    """

    def __init__(
        self,
        sources: Mapping[str, OfflineSource],
        names: tuple[str, ...],
        seed: int,
        curriculum: Curriculum | None = None,
        per_set: PerSet | None = None,
    ) -> None:
        self.sources = dict(sources)
        self.labels = {name: names.index(name) for name in sources}
        self.streams = {name: zlib.crc32(name.encode()) for name in sources}
        self.seed, self.curriculum, self.rows = seed, curriculum, RowStreams(seed)
        self.per_set = per_set
        self.sharing = [] if curriculum is None else curriculum.drawn(sources)
        self.k = slots(sources, curriculum)
        self.has_teacher = any(source.has_teacher for source in sources.values())
        self.relabels = any(source.relabels for source in sources.values())

    @property
    def version(self) -> tuple[int, ...]:
        """Changes when a source, or the curriculum's pace, changes what would be drawn."""
        pace = 0 if self.curriculum is None else self.curriculum.pace.version
        return (pace, *(source.version for source in self.sources.values()))

    def positive_teachers(
        self, queries: Int[np.ndarray, " n"], which: Int[np.ndarray, "n P"]
    ) -> Float32[np.ndarray, "n P"]:
        """Return the teacher's scores of these labelled positives of each query, of the first source that has them."""
        scores = np.full(which.shape, np.nan, np.float32)
        for source in self.sources.values():
            if source.has_teacher:
                scores = np.where(np.isnan(scores), source.positive_teachers(queries, which), scores)
        return scores

    def relabelled(self, query: int) -> tuple[Int32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """The documents that sources have relabelled as positives of the query, with the first teacher's scores."""
        score_of: dict[int, float] = {}
        for source in self.sources.values():
            if source.relabels and (one := source.relabelled(query)).teacher is not None:
                for doc, score in zip(one.ids.tolist(), one.teacher.tolist(), strict=True):
                    score_of.setdefault(doc, score)
        return np.array(list(score_of), np.int32), np.array(list(score_of.values()), np.float32)

    def draw(
        self, epoch: int, query: int, batch: int = 0
    ) -> tuple[Int32[np.ndarray, " k"], Int32[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
        """Draw for one query; see `draw_batch`."""
        ids, labels, teacher = self.draw_batch(np.array([epoch]), np.array([query]), batch)
        return ids[0], labels[0], teacher[0]

    def draw_batch(
        self, epochs: Int[np.ndarray, " n"], queries: Int[np.ndarray, " n"], batch: int = 0
    ) -> tuple[Int32[np.ndarray, "n k"], Int32[np.ndarray, "n k"], Float32[np.ndarray, "n k"]]:
        """Return ids, source labels and teacher scores (NaN = unknown) of the negatives of each row.

        `batch` is the number of the rows' batch in the run, for a curriculum.
        """
        shape = (len(queries), self.k)
        ids, teacher = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
        labels = np.full(shape, max(self.labels.values(), default=0), np.int32)  # an empty slot is no positive
        progress = 0.0 if self.curriculum is None else self.curriculum.pace.progress(batch)
        end = np.zeros(len(queries), int)
        for name, counts in self._counts(epochs, queries, progress).items():
            start, end = end, end + counts
            rows = np.flatnonzero(counts)
            if not len(rows):
                continue
            window = None if self.curriculum is None else self.curriculum.window_at(name, progress)
            rngs = self.rows.each(epochs[rows], queries[rows], self.streams[name])
            drawn = self.sources[name].draw_batch(queries[rows], rngs, **({} if window is None else {"window": window}))
            row, slot = np.nonzero(np.arange(counts.max()) < counts[rows][:, None])
            place = rows[row], start[rows[row]] + slot
            ids[place], labels[place] = drawn.ids[row, slot], self.labels[name]
            if drawn.teacher is not None:
                teacher[place] = drawn.teacher[row, slot]
        return ids, labels, teacher

    def _counts(
        self, epochs: Int[np.ndarray, " n"], queries: Int[np.ndarray, " n"], progress: float
    ) -> dict[str, Int[np.ndarray, " n"]]:
        """How many of each row's slots each source gets."""
        counts = {name: np.full(len(queries), source.k) for name, source in self.sources.items()}
        if self.per_set is not None:
            own = {name: self.per_set.counts(name, queries) for name in self.sources}
            counts |= {name: of_rows for name, of_rows in own.items() if of_rows is not None}
        if self.curriculum is not None and self.sharing:
            rounding = [rng.random() for rng in self.rows.each(epochs, queries, ROUNDING_STREAM)]
            counts |= self.curriculum.counts(self.sharing, progress, rounding)
        return counts
