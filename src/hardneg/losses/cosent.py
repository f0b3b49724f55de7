"""CoSENT: of any two pairs that the data grade differently, the better one must score higher."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.losses.base import AtTemperature
from hardneg.matrix.candidates import Candidates


class CoSENT(AtTemperature):
    """log(1 + sum of exp((lower - higher) / temperature)) over all two pairs of a batch with different grades.

    For graded similarity (Su 2022, kexue.fm/archives/8847; sentence-transformers' CoSENTLoss, whose scale of 20 is a
    temperature of 0.05). A pair is a query and one of its own documents whose grade is known: a score in the data, by
    negatives=given, or a teacher's. Only the order of the grades counts, on any scale. Pairs of all ranks are compared;
    the whole batch has one value, which every row returns.
    """

    needs_teacher = True
    mixes_rows = True

    def __init__(
        self,
        temperature: float = 0.05,
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(temperature, weight, sources, sets)

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return the batch's loss for each row, 0 where no two grades differ."""
        scores, grades = c.graded()
        scores = scores / self.temperature
        higher = grades[:, None] > grades  # False where either is unknown
        # A finite floor, not -inf: where no two differ the loss is then 0 and its gradient 0, not NaN.
        behind = (scores - scores[:, None]).masked_fill(~higher, torch.finfo(scores.dtype).min)
        value = torch.cat([scores.new_zeros(1), behind.flatten()]).logsumexp(dim=0)
        return value.expand(len(c.scores))
