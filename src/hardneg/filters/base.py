"""What every candidate filter has: one rule, the same on mined lists and on live batches."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.candidates import Candidates


@runtime_checkable
class CandidateFilter(Protocol):
    """Says which candidates to keep; what it says of positives is ignored."""

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return True where the candidate may serve as a negative."""
