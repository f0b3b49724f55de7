"""BGE-M3's distillation: every scored candidate against the whole batch, as often as the teacher finds it relevant."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.losses.base import OfTeacher
from hardneg.matrix.candidates import Candidates


class M3KD(OfTeacher):
    """Cross-entropy of each candidate that the teacher scored, weighted by the teacher's softmax over them.

    Each is contrasted with the candidates without a score (in-batch documents) and those of the row that come after it;
    those before it are left out. It is FlagEmbedding's `m3_kd_loss` (BGE-M3, arXiv:2402.03216), which, unlike `kl`, has
    the batch in the softmax. There the order is that of the data; here it is the teacher's, best first, so that the
    order of the sources does not matter. `temperature` divides the student's similarities, `teacher_temperature` the
    teacher's scores.
    """

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's weighted sum, 0 for a row whose positive the teacher has not scored."""
        floor = torch.finfo(c.scores.dtype).min  # finite: a row with nothing known has gradient 0, not NaN
        known = c.valid & ~c.teacher_scores.isnan()
        teacher = (c.teacher_scores / self.teacher_temperature).masked_fill(~known, floor)
        order = teacher.argsort(dim=1, descending=True, stable=True)
        student = c.scores / self.temperature
        others = student.masked_fill(~(c.negative & ~known), floor).logsumexp(dim=1, keepdim=True)
        here = known.gather(1, order)
        ranked = student.gather(1, order).masked_fill(~here, floor)
        from_here = ranked.flip(1).logcumsumexp(dim=1).flip(1)
        each = torch.logaddexp(from_here, others) - ranked
        counted = here & (known & c.positive).any(dim=1, keepdim=True)
        return (each * teacher.softmax(dim=1).gather(1, order)).masked_fill(~counted, 0.0).sum(dim=1)
