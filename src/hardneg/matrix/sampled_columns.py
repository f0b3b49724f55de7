"""What corrects a softmax for how often its columns come (logQ), where sources offer some more often than others."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class SampledColumns:
    """Which columns came by chance, and how often each was to be expected.

    `log_q` is the logarithm of that number; NaN for what did not come by chance. `sources` are those that sample: each
    estimates the same sum over all documents, so they are averaged. `copies` marks sampled columns whose document was
    also drawn for the row. They are invalid, so that it counts once; `Candidates.of_sources` makes them valid where a
    loss does not read the source that drew it.
    """

    log_q: Float[Tensor, "B N"]
    copies: Bool[Tensor, "B N"]
    sources: tuple[str, ...] = ()

    @classmethod
    def none_of(cls, scores: Float[Tensor, "B N"]) -> SampledColumns:
        """Start with columns of which none is sampled."""
        return cls(torch.full_like(scores, torch.nan), torch.zeros_like(scores, dtype=torch.bool))

    def add(self, log_q: Float[Tensor, " M"] | None, copies: Bool[Tensor, "B M"], name: str) -> SampledColumns:
        """Add a source's columns, which have no `log_q` where it does not sample."""
        all_copies = torch.cat([self.copies, copies], dim=1)
        if log_q is None:
            new = self.log_q.new_full(copies.shape, torch.nan)
            return replace(self, log_q=torch.cat([self.log_q, new], dim=1), copies=all_copies)
        n = len(self.sources)
        held, new = self.log_q + math.log((n + 1) / max(n, 1)), log_q.expand(copies.shape) + math.log(n + 1)
        return SampledColumns(torch.cat([held, new], dim=1), all_copies, (*self.sources, name))

    def keep(self, mask: Bool[Tensor, "B N"]) -> SampledColumns:
        """Drop the copies outside `mask`."""
        return replace(self, copies=self.copies & mask)

    def of_sources(self, names: Collection[str]) -> SampledColumns:
        """Average over these sources alone; unchanged where none of them samples, as no sampled column is read then."""
        left = tuple(name for name in self.sources if name in names)
        if len(left) in (0, len(self.sources)):
            return self
        return replace(self, log_q=self.log_q + math.log(len(left) / len(self.sources)), sources=left)
