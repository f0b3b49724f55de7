"""KL: the student's distribution over a row's candidates must be the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.losses.base import AtTemperature
from hardneg.matrix.candidates import Candidates


class KL(AtTemperature):
    """KL divergence from the teacher's softmax to the student's, over the candidates whose teacher score is known.

    As in SimLM (arXiv:2207.02578) and BGE, with a temperature for each side: `temperature` divides the student's
    similarities, `teacher_temperature` the teacher's scores. In-batch documents have no teacher score: they are
    unknown, not irrelevant, and stay outside; add infonce for them, as in loss=[kl,infonce] loss.infonce.weight=0.2.
    """

    needs_teacher = True

    def __init__(
        self,
        temperature: float = 0.05,
        teacher_temperature: float = 1.0,
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(temperature, weight, sources, sets)
        if teacher_temperature <= 0:
            raise ConfigError(f"loss.kl.teacher_temperature must be positive, got {teacher_temperature}")
        self.teacher_temperature = teacher_temperature

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's divergence, 0 for a row with fewer than two known candidates."""
        if c.teacher is None:
            return 0.0 * c.scores.sum(dim=1)
        known = c.valid & ~c.teacher.isnan()
        # Finite floors, not -inf: a row of which nothing is known then has loss 0 and gradient 0, not NaN.
        floor = torch.finfo(c.scores.dtype).min
        student = (c.scores / self.temperature).masked_fill(~known, floor).log_softmax(dim=1)
        teacher = (c.teacher / self.teacher_temperature).masked_fill(~known, floor).log_softmax(dim=1)
        each = teacher.exp() * (teacher - student)
        return each.masked_fill(~known, 0.0).sum(dim=1)
