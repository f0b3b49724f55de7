"""The order of training: a pure function of (seed, epoch), cut into equal shares for the ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hardneg.data.same_set_batches import Order


class Place(NamedTuple):
    """Where a row stands in training: all that determines what it is made of."""

    epoch: int
    row: int
    batch: int = 0  # counted over all epochs


class EpochSampler:
    """Yield batches of places; rank r takes rows r*B to (r+1)*B of each global batch.

    W ranks with batch B therefore see, step by step, the same rows as one rank with batch W*B. The last incomplete
    global batch is dropped: in-batch negatives need equal batches on every rank. `start` skips batches that a resumed
    run has already trained on. With an `order` of several data sets each global batch is of one of them, and what is
    yielded as the epoch is the visit (see `Order`).
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        order: Order | None = None,
    ) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.order = order or Order({"": size})
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.start = 0
        self.held = False  # if given, every epoch repeats this one

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch (Lightning calls this before each one)."""
        if not self.held:
            self.epoch = epoch

    def __len__(self) -> int:
        return sum(self.order.batches(self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[list[Place]]:
        width = self.batch_size * self.world_size
        rows, batches = self.order.epoch(self.seed, self.epoch, width), len(self)
        before = self.epoch * batches
        for batch in range(self.start, batches):
            first = batch * width + self.rank * self.batch_size
            yield [Place(visit, row, before + batch) for visit, row in rows[first : first + self.batch_size].tolist()]
