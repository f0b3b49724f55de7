"""Binary cross-entropy: each candidate on its own is relevant or not."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hardneg.losses.base import AtTemperature, row_mean
from hardneg.matrix.candidates import Candidates


class BCE(AtTemperature):
    """Binary cross-entropy of every positive and negative, averaged over the row (monoBERT, arXiv:1901.04085).

    It fixes the level of the scores, not only their order, so that a cross-encoder's sigmoid is a probability and a
    threshold such as RocketQA's 0.1 (arXiv:2010.08191) means something; softmax losses leave the level free.
    `temperature` divides the scores: 1 suits a cross-encoder's logits.
    """

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's mean over its positives and negatives."""
        logits = (c.scores / self.temperature).masked_fill(~c.valid, 0.0)
        each = F.binary_cross_entropy_with_logits(logits, c.positive.to(logits.dtype), reduction="none")
        return row_mean(each, c.valid)
