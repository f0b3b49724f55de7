"""What every pair filter has: it measures pairs once, and its limits decide which of them are trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Int32

from hardneg.data.tables import RetrievalData
from hardneg.data.training_set import TrainingSet

SIDES = ("query", "document")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labelled pairs of a training set as rows of its tables, in the order of the queries."""

    training: TrainingSet
    queries: Int32[np.ndarray, " n"]
    docs: Int32[np.ndarray, " n"]

    @classmethod
    def of(cls, training: TrainingSet) -> Pairs:
        """All labelled pairs of a split."""
        pairs = training.pairs
        return cls(training, pairs.row_ids.astype(np.int32), pairs.values)

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: np.ndarray | slice) -> Pairs:
        """Return only these, given in order or as a mask."""
        return Pairs(self.training, self.queries[rows], self.docs[rows])

    @property
    def data(self) -> RetrievalData:
        """The set that they are of."""
        return self.training.data

    def texts(self, side: str) -> list[str]:
        """Return the text of one side of each."""
        if side == "query":
            return self.data.queries.take(self.queries)
        return self.data.corpus.take(self.docs)


class PairFilter(ABC):
    """Says which labelled pairs are trained on.

    A rule measures each pair, and what it measured stays in the cache: another limit costs no new measuring.
    `collective`: `open` is work that ranks share, so that all of them must call it together.
    """

    collective: ClassVar[bool] = False

    def ready(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:  # noqa: B027  (most have none)
        """Load weights of its own onto a device; comes before everything else."""

    def put_away(self) -> None:  # noqa: B027
        """Leave the device to training."""

    @abstractmethod
    def measured_by(self) -> dict[str, Any]:
        """Everything but the texts that determines the measure, as plain values: part of its name in the cache."""

    @abstractmethod
    def limits(self) -> dict[str, Any]:
        """Everything beside the measure that determines the verdict, as plain values."""

    def open(self, pairs: Pairs, work: Path) -> None:  # noqa: B027
        """Prepare for measuring these pairs and no others; `work` is a folder that outlives an interruption."""

    @abstractmethod
    def measure(self, pairs: Pairs) -> Float32[np.ndarray, "n m"]:
        """Measure some of the pairs that it was opened for."""

    @abstractmethod
    def keep(self, values: Float32[np.ndarray, "n m"]) -> Bool[np.ndarray, " n"]:
        """Return True where a pair with this measure may be trained on."""

    @abstractmethod
    def told(self, values: Float32[np.ndarray, " m"]) -> str:
        """Say in a word or two what was measured of one pair."""
