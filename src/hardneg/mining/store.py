"""Mined lists on disk: ids, scores and why each was kept or dropped; never text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from hardneg.data.mapped import Mapped
from hardneg.mining.base import Hits

KEPT = 0  # reason code; 1, 2, ... are the filters in the card's order


class Store:
    """A folder with `ids.npy` (Q,K), `scores.npy` (Q,K), `reasons.npy` (Q,K) and `card.json`, immutable once there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card: dict[str, Any] = json.loads((folder / "card.json").read_text())
        self._ids, self._reasons = Mapped(folder / "ids.npy"), Mapped(folder / "reasons.npy")

    @staticmethod
    def write(folder: Path, hits: Hits, reasons: UInt8[np.ndarray, "Q K"], card: dict[str, Any]) -> None:
        """Write the files into an empty folder."""
        np.save(folder / "ids.npy", hits.ids)
        np.save(folder / "scores.npy", hits.scores)
        np.save(folder / "reasons.npy", reasons)
        (folder / "card.json").write_text(json.dumps(card, indent=2))

    def kept(self, query: int) -> Int32[np.ndarray, " n"]:
        """The query's documents that passed every filter, hardest first; what was dropped never returns."""
        ids = self._ids.array[query]
        return ids[(ids >= 0) & (self._reasons.array[query] == KEPT)]

    def report(self, k: int) -> dict[str, float]:
        """Summarise the lists: hit rate (kept / examined), share of queries with fewer than `k` kept, seconds."""
        examined = self._ids.array >= 0
        kept = examined & (self._reasons.array == KEPT)
        mined = examined.any(axis=1)  # rows of queries outside the training split are empty
        return {
            "hit_rate": float(kept.sum() / max(examined.sum(), 1)),
            "queries_short": float((kept[mined].sum(axis=1) < k).mean()) if mined.any() else 1.0,
            "seconds": self.card["seconds"],
        }
