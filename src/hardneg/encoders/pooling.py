"""From one vector per token to one vector per text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Pooling = Callable[[Tensor, Tensor], Tensor]


def mean(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Average the tokens that are not padding (Sentence-BERT, arXiv:1908.10084)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def cls(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Take the first token (DPR, BGE)."""
    return hidden[:, 0]


def last(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Take the last token that is not padding (decoders: E5-mistral, arXiv:2401.00368)."""
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]


POOLINGS: dict[str, Pooling] = {"mean": mean, "cls": cls, "last": last}
LATENT_ATTENTION = "latent_attention"  # has weights: encoders.latent_attention
