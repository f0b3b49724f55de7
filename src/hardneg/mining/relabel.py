"""Relabelling: what the teacher finds relevant beyond the labels becomes a positive, and is not only dropped."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.filters.base import CandidateFilter
from hardneg.matrix.candidates import Candidates
from hardneg.mining.store import RELABELLED


class Relabelled(CandidateFilter):
    """Take what the teacher scores `score` or more out of the negatives (RocketQA, arXiv:2010.08191: above 0.9).

    Known positives are left to the other rules.
    """

    needs_teacher = True

    def __init__(self, score: float) -> None:
        super().__init__("mined")
        self.score = float(score)

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where only the teacher finds the candidate relevant."""
        if c.teacher is None:
            return torch.ones_like(c.valid)
        keep = ~(c.teacher >= self.score)  # unknown (NaN) is not relevant
        for known in positive_ids.unbind(dim=1):
            keep |= c.ids == known[:, None]
        return keep


def with_relabelling(filters: Mapping[str, CandidateFilter], score: float | None) -> dict[str, CandidateFilter]:
    """Add the rule where the teacher's scores are first read, so that no filter which only drops comes before it."""
    rules = list(filters.items())
    if score is None:
        return dict(rules)
    first = next((place for place, (_, rule) in enumerate(rules) if rule.needs_teacher), len(rules))
    return dict([*rules[:first], (RELABELLED, Relabelled(score)), *rules[first:]])
