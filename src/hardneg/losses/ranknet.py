"""RankNet: the positive against each negative on its own."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hardneg.losses.base import AtTemperature, row_mean
from hardneg.matrix.candidates import Candidates


class RankNet(AtTemperature):
    """Logistic loss of the positive's lead over each negative, averaged (Burges et al., ICML 2005).

    Each negative counts the same however many there are, where InfoNCE's softmax looks at the nearest. ANCE
    (arXiv:2007.00808) and STAR (arXiv:2104.08051) train like this. `temperature` divides the similarities: 1 suits dot
    products. Of several positives the lowest counts.
    """

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's mean over its negatives, 0 for a row without any."""
        behind = (c.scores - c.lowest_positive) / self.temperature
        return row_mean(F.softplus(behind.masked_fill(~c.negative, 0.0)), c.negative)
