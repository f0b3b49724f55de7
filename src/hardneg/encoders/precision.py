"""The computing type that suits a machine and an encoder."""

from __future__ import annotations

import torch

from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.cross_encoder import PairRecipe

ALIASES = {"bf16": "bf16-mixed", "16": "16-mixed"}  # Lightning's; whoever embeds must know that they are mixed


def resolve_precision(setting: str | int, recipe: EncoderRecipe | PairRecipe, device: str) -> str:
    """Turn `auto` into bf16-mixed where the processor computes it natively and the encoder gains, else 32-true.

    `device` is what will compute: "cpu", or anything else ("auto", "gpu", "cuda:1") for a GPU if there is one.
    """
    if setting != "auto":
        return ALIASES.get(str(setting), str(setting))
    return "bf16-mixed" if recipe.gains_from_bf16 and native_bf16(device) else "32-true"


def native_bf16(device: str) -> bool:
    """Whether the processor computes bfloat16 itself."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
