"""Triplet margin: the positive must lead each negative by a margin."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.losses.base import Loss
from hardneg.matrix.candidates import Candidates

REDUCTIONS = ("mean", "violating", "hardest")


class Triplet(Loss):
    """Hinge on `margin - (positive - negative)` (Schroff et al. 2015, arXiv:1503.03832).

    Scores are cosines when `encoder.normalize` is true and dot products when it is false; the margin is in the same
    unit. `reduction` says which negatives of a row count: all (`mean`), those inside the margin (`violating`), or the
    worst one (`hardest`, Hermans et al. 2017, arXiv:1703.07737). Of several positives the lowest counts.

    Raises `ConfigError` for a `margin` of 0 or less, and another `reduction`.
    """

    def __init__(
        self,
        margin: float = 0.2,
        reduction: str = "violating",
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(weight, sources, sets)
        if margin <= 0:
            raise ConfigError(f"loss.triplet.margin must be positive, got {margin}")
        if reduction not in REDUCTIONS:
            raise ConfigError(f"loss.triplet.reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
        self.margin, self.reduction = margin, reduction

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's hinge, 0 for a row without negatives."""
        hinge = (self.margin - c.lowest_positive + c.scores).clamp(min=0).masked_fill(~c.negative, 0.0)
        if self.reduction == "hardest":
            return hinge.amax(dim=1)
        counted = c.negative if self.reduction == "mean" else hinge > 0
        return hinge.sum(dim=1) / counted.sum(dim=1).clamp(min=1)
