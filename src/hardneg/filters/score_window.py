"""Score window: similarities between two numbers."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.matrix.candidates import Candidates


class ScoreWindow(CandidateFilter):
    """Keep scores from `low` to `high` (null: no bound); `high` 0.7 is NV-Retriever's "TopK-Abs" (arXiv:2407.15831).

    The numbers are on the miner's scale: those that suit one encoder are wrong for another, and for BM25.

    Raises `ConfigError` unless `low` < `high`.
    """

    def __init__(self, low: float | None = None, high: float | None = 0.7, at: str = "mined") -> None:
        super().__init__(at)
        self.low = -torch.inf if low is None else float(low)
        self.high = torch.inf if high is None else float(high)
        if self.low >= self.high:
            raise ConfigError(f"a score window needs low < high, got low={low}, high={high}")

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the score is outside."""
        return (c.scores >= self.low) & (c.scores <= self.high)
