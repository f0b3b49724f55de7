"""Latent-attention pooling: tokens look up a trained dictionary before they are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.encoders.pooling import mean
from hardneg.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Describes the dictionary of `pooling=latent_attention`: `count` latent vectors, looked up by `heads` heads.

    `expansion` is the width of the MLP after it, in multiples of the model's width.

    Raises `ConfigError` for numbers below 1.
    """

    count: int = 512
    heads: int = 8
    expansion: int = 4

    def __post_init__(self) -> None:
        if min(self.count, self.heads, self.expansion) < 1:
            raise ConfigError(
                f"encoder.latents needs count, heads and expansion of at least 1, got {self.count}, {self.heads} and"
                f" {self.expansion}"
            )

    def build(self, dim: int) -> LatentAttention:
        """Make the pooling for hidden states of this width, with random weights.

        Raises `ConfigError` where the heads do not divide the width.
        """
        if dim % self.heads:
            raise ConfigError(f"encoder.latents.heads={self.heads} must divide the model's width, {dim}")
        return LatentAttention(dim, self.count, self.heads, self.expansion)


class LatentAttention(nn.Module):
    """Let each token attend to trained latents, pass a gated MLP, and average the tokens (NV-Embed, arXiv:2405.17428).

    Tokens are the queries, latents the keys and values; both steps are pre-norm and residual, as in the released model.
    """

    def __init__(self, dim: int, count: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.latents = nn.Parameter(torch.randn(count, dim))
        self.token_norm, self.latent_norm, self.mlp_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.query, self.out = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.up, self.down = nn.Linear(dim, 2 * expansion * dim), nn.Linear(expansion * dim, dim)

    def forward(self, hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Pool the tokens that are not padding, in float32 (or what autocast makes of it)."""
        hidden = hidden.to(self.latents.dtype)
        hidden = hidden + self._look_up(self.token_norm(hidden))
        value, gate = self.up(self.mlp_norm(hidden)).chunk(2, dim=-1)
        return mean(hidden + self.down(value * F.gelu(gate)), mask)

    def _look_up(self, tokens: Float[Tensor, "R L D"]) -> Float[Tensor, "R L D"]:
        q = self._split(self.query(tokens))
        k, v = (self._split(part[None]) for part in self.key_value(self.latent_norm(self.latents)).chunk(2, dim=-1))
        found = F.scaled_dot_product_attention(q, k.expand(len(q), -1, -1, -1), v.expand(len(q), -1, -1, -1))
        return self.out(found.transpose(1, 2).flatten(2))

    def _split(self, x: Float[Tensor, "R N D"]) -> Float[Tensor, "R H N d"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
