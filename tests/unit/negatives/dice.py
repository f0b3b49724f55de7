"""A source that draws numbers from its stream alone, and names that labels are counted by."""

from __future__ import annotations

import numpy as np

from hardneg.negatives.base import Draw, OfflineSource


class Dice(OfflineSource):
    """Draws k numbers below 10,000; with a teacher, their tenth."""

    def __init__(self, k, has_teacher=False):
        super().__init__(k)
        self.has_teacher = has_teacher

    def draw(self, query, rng):
        ids = rng.integers(0, 10_000, self.k).astype(np.int32)
        return Draw(ids, (ids / 10).astype(np.float32) if self.has_teacher else None)


NAMES = ("positive", "a", "b", "in_batch", "c")
