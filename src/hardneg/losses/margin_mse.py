"""MarginMSE: the student's lead of the positive over each negative must equal the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.losses.base import Loss, row_mean
from hardneg.matrix.candidates import Candidates


class MarginMSE(Loss):
    """Squared difference between the student's and the teacher's margins (Hofstätter et al. 2020, arXiv:2010.02666).

    Margins are positive minus negative, averaged over the negatives whose teacher score is known; others do not count,
    and a row whose positive is unknown to the teacher has no loss. `scale` multiplies the student's similarities: a
    teacher's scores are logits, whose margins reach 10 and more: dot products can follow these (scale 1), cosines,
    within -1 and 1, cannot.

    Raises `ConfigError` for a `scale` of 0 or less.
    """

    needs_teacher = True

    def __init__(
        self,
        scale: float = 1.0,
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(weight, sources, sets)
        if scale <= 0:
            raise ConfigError(f"loss.margin_mse.scale must be positive, got {scale}")
        self.scale = scale

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's mean squared difference, 0 for a row with too few teacher scores."""
        known = ~c.teacher_scores.isnan()
        teacher = c.teacher_scores.masked_fill(~known, 0.0)
        positive, negative = c.positive & known, c.negative & known
        ours, theirs = (row_mean(scores, positive)[:, None] - scores for scores in (c.scores, teacher))
        return row_mean((self.scale * ours - theirs).square(), negative & positive.any(dim=1, keepdim=True))
