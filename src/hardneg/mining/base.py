"""What every miner has: a ranked list of documents for each query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.data.tables import Texts


@dataclass(frozen=True)
class Hits:
    """The K best documents of each query, best first; -1 (score -inf) where there are no more."""

    ids: Int32[np.ndarray, "Q K"]
    scores: Float32[np.ndarray, "Q K"]


@runtime_checkable
class Miner(Protocol):
    """Ranks the corpus for each query."""

    def identity(self) -> dict[str, Any]:
        """Everything that decides the ranking but the texts, as plain values: part of the store's fingerprint."""

    def mine(self, queries: list[str], corpus: Texts, k: int) -> Hits:
        """Return the `k` best documents of each query."""
