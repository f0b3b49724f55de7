"""Swapping negatives that became easy for the next ones of the same list, without a new round of mining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.mining.store import KEPT, Store

DOCUMENT_BITS = 32  # a pair is one number: the query's row, then so many bits for the document's


@dataclass(frozen=True)
class Swap:
    """When a drawn negative counts as easy, looked at every `every_n_steps` optimiser steps; null: never.

    With S_0 its similarity to the query when it was first drawn, and S_i when it was last: `ratio` * S_i < S_0 and
    |S_i| < `ceiling`. A negative S_i is raised by as much, so that what became harder is never easy. That is
    Conan-embedding (arXiv:2408.15710): every 100 iterations, 1.15 and 0.8. With `floor` it is easy from the start where
    S_0 < `floor`; the second version has 0.4, and 1.2 and 0.7 for the others. These are cosines; `ceiling` null
    sets no bound.

    Raises `ConfigError` for `every_n_steps` or `ratio` below 1, and a `ceiling` of 0 or less.
    """

    every_n_steps: int | None = None
    ratio: float = 1.15
    ceiling: float | None = 0.8
    floor: float | None = None

    def __post_init__(self) -> None:
        steps = self.every_n_steps
        if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
            raise ConfigError(f"swap.every_n_steps must be a whole number, 1 or more, or null, got {steps!r}")
        if self.ratio < 1:
            raise ConfigError(f"swap.ratio must be 1 or more, or what became harder would count as easy: {self.ratio}")
        if self.ceiling is not None and self.ceiling <= 0:
            raise ConfigError(f"swap.ceiling must be positive, or null, got {self.ceiling}")

    def easy(self, first: Float32[np.ndarray, " n"], now: Float32[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Mark what counts as easy, by its first score and its present one."""
        easy = now + (self.ratio - 1) * np.abs(now) < first
        if self.ceiling is not None:
            easy &= np.abs(now) < self.ceiling
        return easy if self.floor is None else easy | (first < self.floor)


class Scored(NamedTuple):
    """Drawn negatives and what they scored, in the order of the steps."""

    queries: Int64[np.ndarray, " n"]
    docs: Int64[np.ndarray, " n"]
    scores: Float32[np.ndarray, " n"]


class EasyCounts(NamedTuple):
    """Of the negatives that were looked at: how many, how many are easy, and how many of those gave way."""

    looked_at: int
    easy: int
    swapped: int


class Swapped:
    """What has left the lists of one store, and the first score of all that was ever drawn from them.

    What is out never comes back while the store is drawn from. Workers get the former alone.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        queries, self.depth = store.ids.shape
        self._bits = np.zeros((queries, -(-self.depth // 8)), np.uint8)
        self._pairs, self._first = np.empty(0, np.int64), np.empty(0, np.float32)  # by pair, in rising order

    def out(self, queries: Int[np.ndarray, " n"]) -> Bool[np.ndarray, "n K"]:
        """Mark the places of these queries' lists that have given way."""
        return np.unpackbits(self._bits[queries], axis=1, count=self.depth).astype(bool)

    def judge(self, rule: Swap, least: int, seen: Scored) -> EasyCounts:
        """Have what became easy give way, the easiest first, as long as `least` documents stay in the list."""
        pairs, began, ended = _first_and_last(seen.queries << DOCUMENT_BITS | seen.docs, seen.scores)
        first = self._first_scores(pairs, began)
        queries, docs = pairs >> DOCUMENT_BITS, pairs & (2**DOCUMENT_BITS - 1)
        easy = np.flatnonzero(rule.easy(first, ended))
        places = self.store.ids[queries[easy]] == docs[easy, None]
        easy = easy[~(places & self.out(queries[easy])).any(axis=1)]
        easy = easy[np.lexsort((pairs[easy], ended[easy], queries[easy]))]
        owners, where = np.unique(queries[easy], return_inverse=True)
        nth = np.arange(len(easy)) - np.searchsorted(where, where)  # of its query's easy ones, from 0
        going = easy[nth < (self._left(owners) - least)[where]]
        self._put_out(queries[going], docs[going])
        return EasyCounts(len(pairs), len(easy), len(going))

    def _first_scores(
        self, pairs: Int64[np.ndarray, " n"], now: Float32[np.ndarray, " n"]
    ) -> Float32[np.ndarray, " n"]:
        """Return the pairs' first scores; those of new ones are what they have now."""
        place = np.searchsorted(self._pairs, pairs)
        known = np.zeros(len(pairs), bool)
        inside = place < len(self._pairs)
        known[inside] = self._pairs[place[inside]] == pairs[inside]
        first = now.copy()
        first[known] = self._first[place[known]]
        self._pairs = np.insert(self._pairs, place[~known], pairs[~known])
        self._first = np.insert(self._first, place[~known], now[~known])
        return first

    def _left(self, queries: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """How many documents each of these lists still has."""
        kept = (self.store.ids[queries] >= 0) & (self.store.reasons[queries] == KEPT)
        return (kept & ~self.out(queries)).sum(axis=1)

    def _put_out(self, queries: Int64[np.ndarray, " n"], docs: Int64[np.ndarray, " n"]) -> None:
        rows, places = np.nonzero(self.store.ids[queries] == docs[:, None])
        bits = np.uint8(128) >> (places % 8).astype(np.uint8)
        np.bitwise_or.at(self._bits, (queries[rows], places // 8), bits)

    def state(self) -> dict[str, Tensor]:
        """What has given way, and the first scores."""
        rows = np.flatnonzero(self._bits.any(axis=1))
        arrays = {"rows": rows, "bits": self._bits[rows], "pairs": self._pairs, "first": self._first}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self._bits[state["rows"].numpy()] = state["bits"].numpy()
        self._pairs, self._first = state["pairs"].numpy(), state["first"].numpy()

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_pairs": self._pairs[:0], "_first": self._first[:0]}


def _first_and_last(
    pairs: Int64[np.ndarray, " n"], scores: Float32[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, " m"], Float32[np.ndarray, " m"]]:
    """Return each pair once, in rising order, with its first score and its last."""
    found, first = np.unique(pairs, return_index=True)
    _, last = np.unique(pairs[::-1], return_index=True)
    return found, scores[first], scores[::-1][last]
