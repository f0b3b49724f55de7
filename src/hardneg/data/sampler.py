"""The order of training: a pure function of (seed, epoch), cut into equal shares for the ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """Where a row stands in training: all that decides what it will be made of."""

    epoch: int
    row: int
    batch: int = 0  # counted over all epochs


class EpochSampler:
    """Yield batches of places; rank r takes rows r*B to (r+1)*B of each global batch.

    W ranks with batch B therefore see, step by step, the same rows as one rank with batch W*B. The last incomplete
    global batch is dropped: in-batch negatives need equal batches on every rank. `start` skips batches that a resumed
    run has already trained on.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (Lightning calls this before each one)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[list[Place]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        width = self.batch_size * self.world_size
        for batch in range(self.start, len(self)):
            first = batch * width + self.rank * self.batch_size
            number = self.epoch * len(self) + batch
            yield [Place(self.epoch, int(row), number) for row in order[first : first + self.batch_size]]
