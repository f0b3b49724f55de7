"""What a teacher has: a better judge's score of (query, document) pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.data.tables import RetrievalData
from hardneg.data.truncation import Truncation


class Teacher(ABC):
    """Scores pairs of a data set, on a scale of its own; higher is more relevant."""

    def prepare(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:  # noqa: B027  (some need nothing)
        """Load the weights onto `device`, tokenise; called before each round."""

    def open(self, work: Path) -> None:  # noqa: B027
        """Get ready to score; ranks may share the work, so all call it. `work` outlives an interruption."""

    def put_away(self) -> None:  # noqa: B027
        """Leave the device to training until the next round; what `prepare` has loaded stays in main memory."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that decides the scores but the texts, as plain values: part of a store's fingerprint."""

    @abstractmethod
    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Score each query row against its document rows; NaN for -1."""

    def truncation(self) -> Truncation | None:
        """What its longest length has cut of the pairs that it was given; None where it reads no pairs of texts."""
        return None
