"""The mask for live negatives: what outscores the positive by a margin is probably one itself."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.filters.base import CandidateFilter, judged_sources
from hardneg.matrix.candidates import Candidates


class InBatchMargin(CandidateFilter):
    """Drop candidates of these `sources` that score above the row's positive + `margin` (Qwen3, arXiv:2506.05176: 0.1).

    Early in training a model ranks much above the positive: a small margin then masks what it most needs to learn.

    Raises `ConfigError` for what `judged_sources` refuses.
    """

    def __init__(self, margin: float = 0.1, sources: Sequence[str] | None = None, at: str = "live") -> None:
        super().__init__(at)
        self.margin, self.sources = float(margin), judged_sources(sources) or ["in_batch"]

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate is of a judged source and above the threshold."""
        return ~c.offered_by(self.sources) | (c.scores <= c.lowest_positive + self.margin)
