"""Which rows the batches of an epoch hold: each batch is of one data set, or of any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
from jaxtyping import Int, Int64

from hardneg.data.topic_batches import by_topic
from hardneg.errors import ConfigError
from hardneg.system.counts_in_words import TRAINING_QUERIES, counted


@dataclass(frozen=True)
class Order:
    """The rows of `sets` (name -> number, one set after the other) in batches that are each of one set.

    An epoch has as many batches as all sets have complete ones. Each set gets a share of these in proportion to its own
    number to the power of `temper` (GTE, arXiv:2308.03281): with 1 every set is seen once, but for an incomplete last
    batch; below 1 small sets are repeated, and large ones are finished in the next epoch.

    `blended` does the same with rows instead of batches: they come in any order, and only the epoch's end is cut.

    With `topics`, a number for each row, a batch is also of one topic, as long as that has rows (see `by_topic`).
    """

    sets: Mapping[str, int]
    temper: float = 1.0
    blended: bool = False
    topics: Int[np.ndarray, " rows"] | None = field(default=None, compare=False)

    def check(self, batch_size: int, ranks: int) -> None:
        """Raise `ConfigError` where the queries, of one set unless blended, do not fill one batch over all ranks."""
        sets = {"all sets": sum(self.sets.values())} if self.blended else self.sets
        for name, size in sets.items():
            if size < batch_size * ranks:
                each = f" on {ranks} ranks" if ranks > 1 else ""
                raise ConfigError(
                    f"batch_size={batch_size}{each} is more than the {counted(size, *TRAINING_QUERIES)} of {name};"
                    " use a smaller batch_size"
                )

    def batches(self, width: int) -> list[int]:
        """How many batches of `width` rows an epoch has of each set; rounded by largest remainder, ties in order.

        Blended batches are counted together.
        """
        if self.blended:
            return [sum(self.sets.values()) // width]
        whole = self._whole(width)
        weights = whole**self.temper
        due = whole.sum() * weights / max(weights.sum(), 1.0)
        counts = np.floor(due + 1e-9).astype(np.int64)
        more = np.argsort(counts - due, kind="stable")[: whole.sum() - counts.sum()]
        counts[more] += 1
        return counts.tolist()

    def told(self, width: int) -> str:
        """Say how much an epoch has of each set: batches, or queries where batches are of several sets."""
        held = dict(zip(self.sets, replace(self, blended=False).batches(1 if self.blended else width), strict=True))
        of_sets = ", ".join(f"{name} {count}" for name, count in held.items())
        if self.blended:
            return f"queries an epoch, in {sum(self.batches(width))} blended batches: {of_sets}"
        return f"batches an epoch: {of_sets}"

    def epoch(self, seed: int, epoch: int, width: int) -> Int64[np.ndarray, "rows 2"]:
        """Return the epoch's rows in order, `width` of them a batch: (visit, index), a pure function of (seed, epoch).

        `visit` counts how often the set has been gone through, which is the epoch where that is once an epoch: what is
        drawn for a query that comes twice in an epoch is drawn anew. Each visit has another order, and is finished in
        the next epoch where this one ends within it: so all queries come equally often, and their positives in turn.
        """
        if self.blended:
            rows = replace(self, blended=False, topics=None).epoch(seed, epoch, 1)
            if self.topics is not None:
                rng = np.random.default_rng((seed, epoch, len(self.sets) + 1))
                return rows[by_topic(np.arange(len(rows)), self.topics[rows[:, 1]], width, rng)]
            return rows[: len(rows) // width * width]
        whole, counts = self._whole(width).tolist(), self.batches(width)
        starts = accumulate(self.sets.values(), initial=0)
        of_set = []
        for number, (start, size) in enumerate(zip(starts, self.sets.values(), strict=False)):
            if not counts[number]:
                continue
            first, end = epoch * counts[number], (epoch + 1) * counts[number]  # of the set's batches in all epochs
            passes = []
            for visit in range(first // whole[number], -(-end // whole[number])):
                # Trailing zeros do not change a seed: the first set's order is what it would be alone.
                rng = np.random.default_rng((seed, visit, number))
                rows = rng.permutation(size) + start
                if self.topics is not None:
                    rows = by_topic(rows, self.topics[rows], width, rng)
                rows = rows[: whole[number] * width]
                passes.append(np.stack([np.full_like(rows, visit), rows], axis=1))
            done = first % whole[number] * width
            rows_of_set = np.concatenate(passes)[done : done + counts[number] * width]
            of_set.append(rows_of_set.reshape(-1, width, 2))
        if len(of_set) < 2:
            return np.concatenate([*of_set, np.empty((0, width, 2), np.int64)]).reshape(-1, 2)
        turns = np.repeat(np.arange(len(of_set)), [len(batches) for batches in of_set])
        turns = np.random.default_rng((seed, epoch, len(self.sets))).permutation(turns)
        out = np.empty((len(turns), width, 2), np.int64)
        for number, batches in enumerate(of_set):
            out[turns == number] = batches
        return out.reshape(-1, 2)

    def share_of_one_topic(self, seed: int, width: int) -> float:
        """The share of the first epoch's batches that are of one topic; 1 where it has none."""
        assert self.topics is not None, "there are no topics"
        found = self.topics[self.epoch(seed, 0, width)[:, 1]].reshape(-1, width)
        return float((found == found[:, :1]).all(axis=1).mean()) if len(found) else 1.0

    def _whole(self, width: int) -> Int64[np.ndarray, " sets"]:
        return np.array(list(self.sets.values()), np.int64) // width
