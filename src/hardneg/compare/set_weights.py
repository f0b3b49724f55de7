"""Weights by which queries of several data sets are averaged so that each set counts the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def even_weights(sets: Sequence[str] | np.ndarray) -> Float[np.ndarray, " Q"]:
    """The weight of each query by the set that it is of, 1 on average: every set counts the same."""
    _, of_set, sizes = np.unique(sets, return_inverse=True, return_counts=True)
    return (len(of_set) / len(sizes) / sizes)[of_set]
