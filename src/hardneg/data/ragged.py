"""Rows of different lengths in flat arrays: a query's relevant documents, its given negatives, its ranked list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64

from hardneg.data.distinct import distinct
from hardneg.data.packed_pairs import packed, unpacked


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of different lengths in two flat arrays (CSR): row `i` is `values[offsets[i]:offsets[i + 1]]`."""

    offsets: Int64[np.ndarray, " rows_plus_1"]
    values: Int32[np.ndarray, " total"]

    @classmethod
    def of(cls, rows: np.ndarray, values: np.ndarray, n: int) -> Ragged:
        """Group `values` by `rows` (0 to n-1); each row is sorted and without repeats."""
        return cls.of_pairs(distinct(packed(rows, values)), n)

    @classmethod
    def of_pairs(cls, pairs: Int64[np.ndarray, " total"], n: int) -> Ragged:
        """Group (row, value) pairs that are `packed`, sorted and without repeats; rows are 0 to n-1."""
        rows, values = unpacked(pairs)
        return cls(np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]), values)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int32[np.ndarray, " k"]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def padded(self, rows: np.ndarray) -> Int32[np.ndarray, "n width"]:
        """Return these rows as one array, at least one column wide, padded with -1."""
        counts = self.counts[rows]
        columns = np.arange(max(int(counts.max(initial=0)), 1))
        filled = columns < counts[:, None]
        out = np.full(filled.shape, -1, np.int32)
        out[filled] = self.values[(self.offsets[rows][:, None] + columns)[filled]]
        return out

    def at(self, rows: np.ndarray, places: Int64[np.ndarray, "n k"]) -> Int32[np.ndarray, "n k"]:
        """Return the values at these places of each row; place -1 gives -1."""
        known = places >= 0
        out = np.full(places.shape, -1, np.int32)
        out[known] = self.values[(self.offsets[rows][:, None] + places)[known]]
        return out

    def holds(self, rows: np.ndarray, values: Int32[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
        """Mark which of the values each of these rows holds."""
        counts, numbers = self.counts[rows], np.arange(len(rows))
        held = np.sort(packed(np.repeat(numbers, counts), self.values[runs(self.offsets[rows], counts)]))
        if not len(held):
            return np.zeros(values.shape, bool)
        asked = packed(numbers[:, None], values)
        return held[np.searchsorted(held, asked).clip(max=len(held) - 1)] == asked

    @cached_property
    def counts(self) -> Int64[np.ndarray, " rows"]:
        """How many values each row holds."""
        return np.diff(self.offsets)

    @cached_property
    def row_ids(self) -> Int64[np.ndarray, " total"]:
        """The row that each of `values` belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)


def runs(starts: Int[np.ndarray, " n"], lengths: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " total"]:
    """Count up from each start, as far as its length, one run after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
