"""InfoNCE: the positive against the sum of all negatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.base import Loss, row_mean
from hardneg.matrix.candidates import Candidates

LOWEST_TEMPERATURE = 0.01  # CLIP's bound: below it a learned temperature runs away
SEVERAL = ("each", "lse_pair")


class InfoNCE(Loss):
    """Softmax cross-entropy of the positive among its negatives (van den Oord et al. 2018, arXiv:1807.03748).

    `symmetric` averages in the other direction, each positive document against the batch's queries (CLIP, Radford et
    al. 2021, arXiv:2103.00020); it needs the in_batch source. Several positives count one by one, each against the
    negatives only, and the row's loss is their mean.

    `hardness` alpha weighs each negative of `hardness_sources` (null: of all) by exp(alpha * similarity) in the sum,
    the weight without gradient: negatives near the query pull more. Lan et al. 2025 (LLaVE, arXiv:2503.04812) take 9
    for in-batch negatives, Schechter Vera et al. 2025 (EmbeddingGemma, arXiv:2509.20354) 5 for drawn ones; both mean
    cosines. The positive has no such weight.

    `several` "lse_pair" takes a row's positives together instead: log(1 + sum over positives and negatives of
    exp((negative - positive) / temperature)), which looks at the positive that lies lowest: the log-sum-exp pairwise
    loss (LSEPair) of arXiv:2602.12727, of which the abstract was read and the equations were not. With one positive
    both are the same.

    `focal` gamma weighs each term by (1 - p)^gamma, p the positive's probability (Lin et al. 2017, arXiv:1708.02002;
    KaLM-Embedding-V2, arXiv:2506.20923): what is learned already counts less. 0: no weight.

    Columns that carry a `log_q` are corrected by it (see `Candidates`); in the other direction, queries come equally
    often and need none.

    Raises `ConfigError` for a `temperature` of 0 or less (learned: below 0.01), a negative `hardness` or `focal`, and
    another `several`.
    """

    corrects_sampling = True

    def __init__(
        self,
        temperature: float = 0.05,
        learn_temperature: bool = False,
        symmetric: bool = False,
        hardness: float = 0.0,
        hardness_sources: Sequence[str] | None = None,
        several: str = "each",
        focal: float = 0.0,
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(weight, sources, sets)
        if temperature <= 0:
            raise ConfigError(f"loss.infonce.temperature must be positive, got {temperature}")
        if learn_temperature and temperature < LOWEST_TEMPERATURE:
            raise ConfigError(f"a learned temperature starts at {LOWEST_TEMPERATURE} or above, got {temperature}")
        if hardness < 0:
            raise ConfigError(f"loss.infonce.hardness must not be negative, got {hardness}")
        if hardness_sources is not None and not hardness:
            raise ConfigError("loss.infonce.hardness_sources needs a hardness above 0, as in loss.infonce.hardness=5")
        if several not in SEVERAL:
            raise ConfigError(f"loss.infonce.several must be one of {', '.join(SEVERAL)}, got {several!r}")
        if focal < 0:
            raise ConfigError(f"loss.infonce.focal must not be negative, got {focal}")
        self.several, self.focal = several, focal
        self.needs_reverse, self.has_temperature = symmetric, not learn_temperature
        self.hardness = hardness
        self.hardness_sources = None if hardness_sources is None else tuple(hardness_sources)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learn_temperature)

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """The softmax temperature in use; a learned one never falls below 0.01."""
        value = self.log_temperature.exp()
        if not self.log_temperature.requires_grad:
            return value
        # Straight through: a plain clamp has no gradient below its bound, and the temperature would never come back.
        return value + (value.clamp(min=LOWEST_TEMPERATURE) - value).detach()

    @torch.no_grad()
    def set_temperature(self, value: float) -> None:
        """Take this temperature, where it is not learned."""
        self.log_temperature.fill_(math.log(value))

    def learned(self) -> dict[str, Tensor]:
        """The temperature, where it is learned."""
        return {"temperature": self.temperature.detach()} if self.log_temperature.requires_grad else {}

    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's negative log-likelihood of its positive."""
        loss = self._one_way(c)
        if self.needs_reverse and c.reverse is not None:
            shape = (len(loss), -1)  # a row has as many rows there as it has slots for positives
            there = c.reverse.positive.any(dim=1).unflatten(0, shape)
            loss = (loss + self._one_way(c.reverse).unflatten(0, shape).sum(dim=1) / there.sum(dim=1)) / 2
        return loss

    def _one_way(self, c: Candidates) -> Float[Tensor, " B"]:
        logits = c.logits(self.temperature)
        weighed = logits + self._log_weight(c) if self.hardness else logits
        # A finite floor, not -inf: a row whose negatives are all masked then has loss 0 and gradient 0, not NaN.
        negatives = weighed.masked_fill(~c.negative, torch.finfo(logits.dtype).min).logsumexp(dim=1, keepdim=True)
        # Few columns: with thousands of negatives another whole matrix would be the peak of memory.
        positive = c.positive[:, : c.positives]
        if self.several == "lse_pair":
            behind = (-logits[:, : c.positives]).masked_fill(~positive, torch.finfo(logits.dtype).min)
            return self._weighed(F.softplus(negatives.squeeze(1) + behind.logsumexp(dim=1)))
        return row_mean(self._weighed(F.softplus(negatives - logits[:, : c.positives])), positive)

    def _weighed(self, loss: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
        if not self.focal:
            return loss
        # 1 - p; away from 0, where a power below 1 has no gradient.
        return loss * (-torch.expm1(-loss)).clamp(min=1e-6) ** self.focal

    def _log_weight(self, c: Candidates) -> Float[Tensor, "B N"]:
        weight = self.hardness * c.scores.detach()
        if self.hardness_sources is None:
            return weight
        return weight.masked_fill(~c.offered_by(self.hardness_sources), 0.0)
