"""The hardest of the drawn negatives: many candidates are scored, and few of them trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter, judged_sources
from hardneg.matrix.candidates import Candidates


class Hardest(CandidateFilter):
    """Keep, of each row's candidates of these `sources`, the `n` that the model scores highest; null: of all sources.

    With more drawn than trained on this is SimLM's forward factor (arXiv:2207.02578: 64 passages a query for its
    cross-encoder, of which the hardest 16 count). What is dropped gets no gradient. Candidates with the n-th score all
    stay. After filters that drop false negatives it chooses among what they leave.

    Raises `ConfigError` for an `n` below 1, and what `judged_sources` refuses.
    """

    def __init__(self, n: int = 4, sources: Sequence[str] | None = None, at: str = "live") -> None:
        super().__init__(at)
        if n < 1:
            raise ConfigError(f"n must be 1 or more, got {n}")
        self.n, self.only = int(n), judged_sources(sources)  # names in the fingerprints of stores

    @property
    def sources(self) -> list[str]:  # type: ignore[override]
        """The sources it judges, for the check that these exist; empty: all."""
        return self.only or []

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate is of a judged source and not among the row's hardest."""
        asked = c.negative if self.only is None else c.negative & c.offered_by(self.only)
        scores = c.scores.masked_fill(~asked, -torch.inf)
        edge = scores.topk(min(self.n, scores.shape[1]), dim=1).values[:, -1:]
        return ~asked | (scores >= edge)
