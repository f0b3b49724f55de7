"""Rank window: skip the first ranks of a mined list, where the unlabelled positives are."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.matrix.candidates import Candidates


class RankWindow(CandidateFilter):
    """Keep ranks `skip` to `last` of the miner's list, counted from 0 (BGE mines 10-210; NV-Retriever's "shift").

    The cheapest remedy for false negatives, and blind: it drops true hard negatives and keeps deep false ones.

    Raises `ConfigError` unless 0 <= `skip` < `last`.
    """

    def __init__(self, skip: int = 10, last: int | None = None, at: str = "mined") -> None:
        super().__init__(at)
        if skip < 0 or (last is not None and last <= skip):
            raise ConfigError(f"a rank window needs 0 <= skip < last, got skip={skip}, last={last}")
        self.skip, self.last = skip, last

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate has a rank outside the window."""
        if c.rank is None:
            return torch.ones_like(c.valid)
        inside = c.rank >= self.skip
        if self.last is not None:
            inside &= c.rank < self.last
        return inside | (c.rank < 0)
