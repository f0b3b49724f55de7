"""What a trainer computes in: Lightning's precisions, made to fit batches and losses of ours."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.plugins.precision import HalfPrecision
from torch import nn

from hardneg.encoders.towers import Towers
from hardneg.training.base import TrainingModule


class BF16Weights(HalfPrecision):
    """Holds the encoder's weights, and so its gradients and moments, in bfloat16; all else stays in float32.

    Lightning's own converts every weight, buffer and number of a batch: temperatures and teacher scores would be
    rounded to three digits, and batches of ours, which do not change, cannot be converted at all.
    """

    def __init__(self) -> None:
        super().__init__("bf16-true")

    def convert_module(self, module: nn.Module) -> nn.Module:
        """Convert what is ranked with and trained."""
        assert isinstance(module, TrainingModule)
        if isinstance(module.ranker, Towers):
            module.ranker.round_trained(torch.bfloat16)
        else:
            module.ranker.to(torch.bfloat16)
        return module

    def convert_input(self, data: Any) -> Any:
        """Leave a batch as it is: encoders read ids, and losses compute in float32."""
        return data

    @contextmanager
    def forward_context(self) -> Generator[None, None, None]:
        """Leave the type of new tensors as it is."""
        yield


def trainer_arguments(precision: str, plugins: Any = None) -> dict[str, Any]:
    """The Trainer's arguments for a precision by Lightning's name; `plugins` are those that it is given otherwise."""
    if precision != "bf16-true":
        return {"precision": precision}
    others = plugins if isinstance(plugins, list | tuple) else [] if plugins is None else [plugins]
    return {"plugins": [*others, BF16Weights()], "precision": None}
