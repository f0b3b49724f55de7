"""Rows of different lengths in flat arrays."""

from __future__ import annotations

import numpy as np

from hardneg.data.ragged import Ragged


def test_ragged_rows_are_sorted_and_without_repeats():
    rows = Ragged.of(np.array([2, 0, 2, 2, 0]), np.array([5, 3, 1, 5, 4]), 4)
    assert [rows[i].tolist() for i in range(4)] == [[3, 4], [], [1, 5], []]
    assert len(rows) == 4 and rows.counts.tolist() == [2, 0, 2, 0] and rows.row_ids.tolist() == [0, 0, 2, 2]


def test_padded_rows():
    rows = Ragged.of(np.array([0, 0, 2]), np.array([3, 4, 7]), 3)
    assert rows.padded(np.array([2, 0, 1, 0])).tolist() == [[7, -1], [3, 4], [-1, -1], [3, 4]]
    assert rows.padded(np.array([1])).tolist() == [[-1]], "at least one column wide"
    assert rows.padded(np.array([2])).tolist() == [[7]]


def test_ragged_without_any_value():
    rows = Ragged.of(np.empty(0, np.int64), np.empty(0, np.int64), 2)
    assert rows[1].tolist() == [] and rows.padded(np.array([0, 1])).tolist() == [[-1], [-1]]
