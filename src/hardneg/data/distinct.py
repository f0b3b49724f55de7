"""The distinct values of an array, found by sorting."""

from __future__ import annotations

import numpy as np


def distinct(*arrays: np.ndarray) -> np.ndarray:
    """Return the values of one or several arrays of one type in order, each once.

    `np.unique` returns the same, and hashes since numpy 2.3: of millions of rows, nearly all of them distinct, that
    takes twenty times as long.
    """
    ordered = np.sort(np.concatenate(arrays))
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]
