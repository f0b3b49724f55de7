"""KL: the student's distribution over a row's candidates must be the teacher's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.losses.base import OfTeacher
from hardneg.matrix.candidates import Candidates


class KL(OfTeacher):
    """KL divergence from the teacher's softmax to the student's, over the candidates whose teacher score is known.

    As in SimLM (arXiv:2207.02578) and BGE, with a temperature for each side: `temperature` divides the student's
    similarities, `teacher_temperature` the teacher's scores. In-batch documents have no teacher score, but with
    negatives.in_batch.teacher: they are unknown, not irrelevant, and stay outside; add infonce for them, as in
    loss=[kl,infonce] loss.infonce.weight=0.2.
    """

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's divergence, 0 for a row with fewer than two known candidates."""
        known = c.valid & ~c.teacher_scores.isnan()
        # Finite floors, not -inf: a row with nothing known then has loss 0 and gradient 0, not NaN.
        floor = torch.finfo(c.scores.dtype).min
        student = (c.scores / self.temperature).masked_fill(~known, floor).log_softmax(dim=1)
        teacher = (c.teacher_scores / self.teacher_temperature).masked_fill(~known, floor).log_softmax(dim=1)
        each = teacher.exp() * (teacher - student)
        return each.masked_fill(~known, 0.0).sum(dim=1)
