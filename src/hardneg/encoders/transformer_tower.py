"""The tower of a transformer: the model, its pooling, and the linear layers after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.encoders.base import Tower
from hardneg.encoders.dense_layers import DenseSpec, in_a_row
from hardneg.encoders.pooling import Pooling
from hardneg.encoders.unpadded import run_unpadded


class TransformerTower(Tower):
    """Runs the model, pools, goes through the linear layers, if there are any, and normalises.

    With a `first_position` (the number of a text's first token) the model can do without padding, given `lengths`.
    The pooled vector is `beside` times as wide as a token's.
    """

    def __init__(
        self, model: nn.Module, pool: Pooling, normalize: bool, first_position: int | None = None, beside: int = 1
    ) -> None:
        super().__init__()
        self.first_position, self.takes_lengths = first_position, first_position is not None
        self.model, self.pool, self.normalize = model, pool, normalize
        self.dense, self.dim = nn.Sequential(), width_of(model) * beside

    def project(self, layers: Sequence[DenseSpec]) -> None:
        """Add linear layers after the pooling, with random weights."""
        self.dense = in_a_row(layers, self.dim)
        self.dim = layers[-1].out_features if layers else self.dim

    def forward(
        self,
        input_ids: Int[Tensor, "R L"],
        attention_mask: Bool[Tensor, "R L"],
        lengths: Int[Tensor, " R"] | None = None,
        prompt: Int[Tensor, " R"] | None = None,
    ) -> Float[Tensor, "R D"]:
        """Embed each row; by `lengths`, which are on the CPU, without computing the padding.

        The first `prompt` tokens are read like all others and left out of the pooling.
        """
        if self.first_position is None or lengths is None:
            numbers = attention_mask.long()  # as tokenizers give it: some models subtract it (LongT5, XLNet)
            hidden = self.model(input_ids=input_ids, attention_mask=numbers).last_hidden_state
        else:
            hidden = run_unpadded(self.model, input_ids, lengths, self.first_position)
        pooled_mask = attention_mask
        if prompt is not None:
            pooled_mask = attention_mask & (torch.arange(input_ids.shape[1], device=prompt.device) >= prompt[:, None])
        pooled = self.dense(self.pool(hidden, pooled_mask))
        return F.normalize(pooled, dim=-1) if self.normalize else pooled

    def blocks(self) -> list[nn.Module]:
        """The layers, by the names that transformers gives for this purpose."""
        network = getattr(self.model, "model", self.model)
        names = set(getattr(network, "_no_split_modules", None) or ())
        return [module for module in network.modules() if type(module).__name__ in names]


def width_of(model: Any) -> int:
    """The width of a model's hidden states; of a multimodal one, that of its text model."""
    return int(model.config.get_text_config().hidden_size)
