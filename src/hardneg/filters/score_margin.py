"""Positive-aware margins: a candidate too close to the positive is taken for an unlabelled positive."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter, check_reduce
from hardneg.matrix.candidates import Candidates


def highest_allowed(positive: Float[Tensor, "B 1"], margin: float, relative: bool) -> Float[Tensor, "B 1"]:
    """Return the highest score that a margin to the positive's score s allows; inf where a row has no positive.

    That is s - margin, or if it is `relative` s - |s| * margin: multiplying a negative score by 0.95 would raise it and
    let everything pass.
    """
    below = positive.abs() * margin if relative else margin
    return (positive - below).where(positive.isfinite(), positive)


class AbsoluteMargin(CandidateFilter):
    """Keep scores of at most the positive's minus `margin` ("TopK-MarginPos", NV-Retriever, arXiv:2407.15831).

    Of several positives the `min`, `mean` or `max` counts (`positive`); min is the strictest.

    Raises `ConfigError` for a negative `margin`.
    """

    def __init__(self, margin: float = 0.05, positive: str = "min", at: str = "mined") -> None:
        super().__init__(at)
        check_reduce(positive)
        if margin < 0:
            raise ConfigError(f"margin must be 0 or more, got {margin}")
        self.margin, self.positive = float(margin), positive

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate scores above positive - margin."""
        return c.scores <= highest_allowed(c.positive_score(self.positive), self.margin, relative=False)


class RelativeMargin(CandidateFilter):
    """Keep scores of at most `1 - margin` of the positive's ("TopK-PercPos", NV-Retriever; 0.05 is its 95%).

    See `highest_allowed` for positives with a negative score.

    Raises `ConfigError` for a `margin` outside 0 to 1.
    """

    def __init__(self, margin: float = 0.05, positive: str = "min", at: str = "mined") -> None:
        super().__init__(at)
        check_reduce(positive)
        if not 0 <= margin < 1:
            raise ConfigError(f"margin is a share of the positive's score, 0 to 1, got {margin}")
        self.margin, self.positive = float(margin), positive

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate scores above that share of the positive."""
        return c.scores <= highest_allowed(c.positive_score(self.positive), self.margin, relative=True)
