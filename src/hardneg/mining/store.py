"""Mined lists on disk: ids, scores and why each was kept or dropped; never text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32, UInt8

from hardneg.system.cache import hold, release
from hardneg.system.memory_map import Mapped

KEPT = 0  # reason code; 1, 2, ... are the filters in the card's order
RELABELLED = "relabelled"  # their name for what the teacher found relevant


def release_lists(cache: Path, name: str, owner: str) -> None:
    """Withdraw the owner's claim to this store and to the rankings behind it; what nobody else claims is removed."""
    for folder in _folders(cache, name):
        release(folder, owner)


def hold_lists(cache: Path, name: str, owner: str) -> None:
    """Claim for the owner a store that is there, which another may have mined, and the rankings behind it."""
    if (cache / "stores" / name).exists():
        for folder in _folders(cache, name):
            hold(folder, owner)


def _folders(cache: Path, name: str) -> list[Path]:
    """A store and the rankings behind it, as far as its card names them."""
    card = cache / "stores" / name / "card.json"
    rankings = json.loads(card.read_text()).get("rankings") if card.exists() else None
    return [cache / "stores" / name] + ([] if rankings is None else [cache / "rankings" / rankings])


class Store:
    """A folder of memory-mapped arrays and a card, immutable once there.

    `ids.npy`, `scores.npy`, `reasons.npy` (Q, K), with a teacher also `teacher.npy`; `positive.npy` (Q,), the miner's
    score of each query's lowest known positive (NaN unknown), and with a teacher `positive_teacher.npy` (Q, P), its
    scores of the labelled positives; `card.json`. Q counts all rows of the query table; those of queries that were not
    mined are empty. `new` says whether this process has just mined it, rather than found it.
    """

    def __init__(self, folder: Path, new: bool = False) -> None:
        self.folder, self.new = folder, new
        self.card: dict[str, Any] = json.loads((folder / "card.json").read_text())
        self._ids, self._reasons = Mapped(folder / "ids.npy"), Mapped(folder / "reasons.npy")
        self._scores, self._positive = Mapped(folder / "scores.npy"), Mapped(folder / "positive.npy")
        teacher, positive_teacher = folder / "teacher.npy", folder / "positive_teacher.npy"
        self._teacher = Mapped(teacher) if teacher.exists() else None
        self._positive_teacher = Mapped(positive_teacher) if positive_teacher.exists() else None
        reasons = self.card["reasons"]
        self._relabelled = reasons.index(RELABELLED) if RELABELLED in reasons else None

    @property
    def ids(self) -> Int32[np.ndarray, "Q K"]:
        """The mined documents, best first, -1 where there are no more."""
        return self._ids.array

    @property
    def scores(self) -> Float32[np.ndarray, "Q K"]:
        """The miner's scores."""
        return self._scores.array

    @property
    def reasons(self) -> UInt8[np.ndarray, "Q K"]:
        """0 for what was kept, else the number of the filter that dropped it, from 1 in the card's order."""
        return self._reasons.array

    @property
    def positive(self) -> Float32[np.ndarray, " Q"]:
        """The miner's score of each query's lowest known positive."""
        return self._positive.array

    @property
    def mined(self) -> Bool[np.ndarray, " Q"]:
        """The queries that have a list at all."""
        return np.asarray(self.ids[:, 0] >= 0)

    def kept(self, query: int) -> Int32[np.ndarray, " n"]:
        """The query's documents that passed every filter, hardest first; a dropped one never returns."""
        return self.ids[query][self.keeps(query)]

    def teacher(self, query: int) -> Float32[np.ndarray, " n"] | None:
        """The teacher's scores of what `kept` returns; None where the store has none."""
        return None if self._teacher is None else self._teacher.array[query][self.keeps(query)]

    def relabelled(self, query: int) -> Int32[np.ndarray, " n"]:
        """The query's documents that the teacher found relevant, hardest first; none where it was not asked."""
        return self.ids[query][self.relabels(query)]

    def relabelled_teacher(self, query: int) -> Float32[np.ndarray, " n"]:
        """The teacher's scores of what `relabelled` returns."""
        teacher = self._teacher
        return np.empty(0, np.float32) if teacher is None else teacher.array[query][self.relabels(query)]

    def relabels(self, query: int) -> Bool[np.ndarray, " K"]:
        """Mark the query's relabelled documents."""
        reasons = self.reasons[query]
        return np.zeros(reasons.shape, bool) if self._relabelled is None else reasons == self._relabelled

    def positive_teacher(self, query: int, which: int) -> float:
        """The teacher's score of the query's `which`-th labelled positive; NaN where there is none."""
        return np.nan if self._positive_teacher is None else float(self._positive_teacher.array[query, which])

    @property
    def teachers(self) -> Float32[np.ndarray, "Q K"] | None:
        """The teacher's scores of all that was mined, NaN unknown; None where the store has none."""
        return None if self._teacher is None else self._teacher.array

    def positive_teachers(
        self, queries: Int[np.ndarray, " n"], which: Int[np.ndarray, "n P"]
    ) -> Float32[np.ndarray, "n P"]:
        """The teacher's scores of these labelled positives of each query; NaN where there is none, or place -1."""
        scores = np.full(which.shape, np.nan, np.float32)
        if self._positive_teacher is not None:
            known = which >= 0
            scores[known] = self._positive_teacher.array[queries[np.nonzero(known)[0]], which[known]]
        return scores

    def keeps(self, query: int) -> Bool[np.ndarray, " K"]:
        """Mark the query's kept documents."""
        return (self.ids[query] >= 0) & (self.reasons[query] == KEPT)
