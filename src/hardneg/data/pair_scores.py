"""A teacher's scores of (query, document) pairs that come with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, Int64

from hardneg.data.packed_pairs import packed

# What a model scores a pair otherwise in another batch, in float32: relative to the score, and to the largest of all
# (1 at least), as a small logit is a sum of terms as large as those of a large one. So 2e-6 and 9e-6 of a teacher of
# probabilities are two scores, and 0.116 and 0.116004 of one of logits from -15 to 15 are one. The 0.4% that bfloat16
# rounds by is no rounding here: of scores that differ so much one must be chosen.
ROUNDING, OF_LARGEST = 1e-5, 2e-6


def contradict(one: np.ndarray, other: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Whether two scores of one pair differ by more than rounding, each; `scores` are all of the same teacher."""
    return ~np.isclose(one, other, rtol=ROUNDING, atol=OF_LARGEST * max(1.0, np.abs(scores).max()))


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of pairs by rows of the query and document tables, looked up by bisection.

    `pairs` are (query, document) rows that are `packed`, sorted and without repeats.
    """

    pairs: Int64[np.ndarray, " n"]
    scores: Float32[np.ndarray, " n"]

    @classmethod
    def of(cls, queries: np.ndarray, docs: np.ndarray, scores: np.ndarray) -> PairScores:
        """Sort them by pair; a repeated pair keeps its first score."""
        pairs, first = np.unique(packed(queries, docs), return_index=True)
        return cls(pairs, scores[first].astype(np.float32))

    @classmethod
    def none(cls) -> PairScores:
        """Return an empty table."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def joined(cls, tables: Sequence[tuple[PairScores, int, int]]) -> PairScores:
        """Join tables, in order, whose rows begin at these (query, document) offsets of the joined ones."""
        pairs = [table.pairs + packed([query], [doc]) for table, query, doc in tables]
        return cls(np.concatenate(pairs), np.concatenate([table.scores for table, _, _ in tables]))

    def __len__(self) -> int:
        return len(self.pairs)

    def any_of(self, queries: range) -> bool:
        """Whether a pair of one of these query rows has a score."""
        start, stop = np.searchsorted(self.pairs, packed([queries.start, queries.stop], 0))
        return bool(start < stop)

    def look_up(
        self, query: int | Int[np.ndarray, "n 1"], docs: Int[np.ndarray, "*n k"]
    ) -> Float32[np.ndarray, "*n k"]:
        """Return the scores of a query's documents, or of each of several, NaN for those without."""
        asked = packed(query, docs)
        if not len(self):
            return np.full(docs.shape, np.nan, np.float32)
        place = np.searchsorted(self.pairs, asked).clip(max=len(self.pairs) - 1)
        return np.where((self.pairs[place] == asked) & (docs >= 0), self.scores[place], np.float32(np.nan))
