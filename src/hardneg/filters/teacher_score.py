"""Teacher scores: a cross-encoder's judgement of whether a candidate is relevant after all."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter, check_reduce
from hardneg.matrix.candidates import Candidates


class TeacherScore(CandidateFilter):
    """Keep what the teacher scores at most `high` and at most its score of the positive minus `margin` (null: any).

    RocketQA keeps below 0.1 of a probability (arXiv:2010.08191); sentence-transformers' MS MARCO recipes a margin of 3
    logits. Candidates without a teacher score are kept: unknown is not relevant.

    Raises `ConfigError` where `high` and `margin` are null.
    """

    needs_teacher = True

    def __init__(
        self, high: float | None = None, margin: float | None = 3.0, positive: str = "min", at: str = "mined"
    ) -> None:
        super().__init__(at)
        check_reduce(positive)
        if high is None and margin is None:
            raise ConfigError("teacher_score needs high, margin or both")
        self.high, self.margin, self.positive = high, margin, positive

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the teacher finds the candidate too relevant."""
        keep = torch.ones_like(c.valid)
        if c.teacher is None:
            return keep
        if self.high is not None:
            keep &= c.teacher <= self.high
        if self.margin is not None:
            keep &= c.teacher <= c.positive_score(self.positive, c.teacher) - self.margin
        return keep | c.teacher.isnan()
