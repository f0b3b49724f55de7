"""Results that are left out of rankings."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int32


def left_out(
    out: Bool[np.ndarray, "Q K"],
    ids: Int32[np.ndarray, "Q K"],
    scores: Float32[np.ndarray, "Q K"],
    depth: int | None = None,
) -> tuple[Int32[np.ndarray, "Q k"], Float32[np.ndarray, "Q k"]]:
    """Leave out the marked results of each query and keep the `depth` best of the rest; -1 and -inf stand behind."""
    order = np.argsort(out, axis=1, kind="stable")[:, :depth]
    ids, scores = np.where(out, np.int32(-1), ids), np.where(out, np.float32(-np.inf), scores)
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
