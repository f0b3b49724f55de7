"""From one vector per token to one vector per text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Pooling = Callable[[Tensor, Tensor], Tensor]


def mean(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Average the tokens that are not padding (Sentence-BERT, arXiv:1908.10084)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def cls(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Take the first token (DPR, BGE); of a text whose prompt is not pooled, the first after that."""
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.int().argmax(dim=1)]


def last(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Take the last token that is not padding (decoders: E5-mistral, arXiv:2401.00368)."""
    places = torch.arange(hidden.shape[1], device=hidden.device)
    return hidden[torch.arange(len(hidden), device=hidden.device), (places * mask).amax(dim=1)]


def maximum(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Take each dimension's largest value of the tokens that are not padding (Sentence-BERT, arXiv:1908.10084)."""
    return hidden.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)


def weighted_mean(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Average the tokens that are not padding, the n-th of a text with weight n (SGPT, arXiv:2202.08904)."""
    places = torch.arange(1, hidden.shape[1] + 1, device=hidden.device, dtype=torch.float32)
    weights = (places * mask).unsqueeze(-1)
    return ((hidden * weights).sum(dim=1) / weights.sum(dim=1)).to(hidden.dtype)


def mean_sqrt_len(hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
    """Add the tokens that are not padding, and divide by the root of their number (sentence-transformers)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).sqrt()


POOLINGS: dict[str, Pooling] = {
    "mean": mean,
    "cls": cls,
    "last": last,
    "max": maximum,
    "weighted_mean": weighted_mean,
    "mean_sqrt_len": mean_sqrt_len,
}
LATENT_ATTENTION = "latent_attention"  # has weights: encoders.latent_attention
BESIDE = "+"  # between the names of poolings whose vectors are put beside each other, as in cls+mean


@dataclass(frozen=True)
class Beside:
    """Several poolings of the same tokens, their vectors beside each other in one: (R, number of poolings * D)."""

    poolings: tuple[Pooling, ...]

    def __call__(self, hidden: Float[Tensor, "R L D"], mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R P"]:
        """Pool by each of them."""
        return torch.cat([pool(hidden, mask) for pool in self.poolings], dim=-1)


def parts(name: str) -> list[str]:
    """The poolings that a name such as `mean` or `cls+mean` puts together."""
    return name.split(BESIDE)


def is_known(name: str) -> bool:
    """Whether there are these poolings, each once."""
    found = parts(name)
    return set(found) <= POOLINGS.keys() and len(set(found)) == len(found)


def pooling(name: str) -> Pooling:
    """The pooling of a name; `KeyError` for one that there is not."""
    found = tuple(POOLINGS[part] for part in parts(name))
    return found[0] if len(found) == 1 else Beside(found)
