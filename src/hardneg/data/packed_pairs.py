"""Pairs of rows as one number each: sorted, told apart and looked up as one column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32, Int64

Rows = np.ndarray | Sequence[int] | int


def packed(first: Rows, second: Rows) -> Int64[np.ndarray, "*any"]:
    """Put `first` into the upper 32 bits and `second` into the lower; -1 where `second` is -1."""
    return np.asarray(first, np.int64) << 32 | np.asarray(second, np.int64)


def unpacked(pairs: Int64[np.ndarray, " n"]) -> tuple[Int32[np.ndarray, " n"], Int32[np.ndarray, " n"]]:
    """Take apart what `packed` has put together."""
    return (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
