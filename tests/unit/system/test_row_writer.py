"""Arrays written in pieces are those that are saved whole."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.system.row_writer import FlatWriter, RowWriter


def test_rows_that_nobody_names_are_empty(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    with RowWriter(tmp_path / "x.npy", 9, np.nan) as file:
        file.put(np.array([1, 2]), values[:2])
        file.put(np.array([], int), values[:0])
        file.put(np.array([4, 6]), values[2:])
    expected = np.full((9, 3), np.nan, np.float32)
    expected[[1, 2, 4, 6]] = values
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)
    np.save(tmp_path / "whole.npy", expected)
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("lengths", [[], [0], [3, 0, 5], [100_000]])
def test_a_length_that_is_known_at_the_end(lengths, tmp_path):
    pieces = [np.arange(length, dtype=np.int32) for length in lengths]
    with FlatWriter(tmp_path / "x.npy", np.int32) as file:
        for piece in pieces:
            file.put(piece)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.concatenate([*pieces, np.empty(0, np.int32)]))
    assert np.load(tmp_path / "x.npy", mmap_mode="r").dtype == np.int32
