"""A moving average of the weights: what a run that keeps one is judged by, mines with, saves and ends with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import AveragedModel

from hardneg.errors import ConfigError
from hardneg.training.base import TrainingModule
from hardneg.training.trainer_state import callbacks_of


class MovingAverage(WeightAveraging):
    """Keep an exponential moving average of the trained weights, from the first optimiser step on.

    After step n the average moves to d of itself and 1 - d of the weights, with d = `decay`; with `warmup` d is at most
    n / (9 + n), as in TensorFlow's ExponentialMovingAverage, so that the average of a short run is one of its last
    steps and not of its first. It is held in float32, also of weights in bfloat16, whose few digits would lose its
    steps. Weights that are not trained and what online sources hold (a queue) are the model's own: averaged, they would
    be moved by rounding, or be nonsense. Checkpoints are laid out as Lightning's callback does.

    Raises `ConfigError` for a decay outside 0 to 1.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        super().__init__(use_buffers=False)
        if not 0 <= decay < 1:
            raise ConfigError(f"decay is the share of itself that the average keeps, 0 <= decay < 1, got {decay}")
        self.decay, self.warmup = decay, warmup

    def decay_at(self, step: int) -> float:
        """Return how much of itself the average keeps at the `step`-th step that it takes in, from 1."""
        return min(self.decay, step / (9 + step)) if self.warmup else self.decay

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Copy the model, but share what online sources hold."""
        if stage == "fit":
            self._average_model = AveragedModel(pl_module)
            if hasattr(pl_module, "sources"):
                self._average_model.module.sources = pl_module.sources

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Have the average where the model is now, and share the weights that are not trained."""
        assert self._average_model is not None
        for average, weight in self._pairs(pl_module):
            average.data = average.data.to(weight.device) if weight.requires_grad else weight.data
        self._average_model.module.to(pl_module.device)  # its buffers; the count stays where reading it costs nothing

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Take in the weights, if the optimiser has moved them."""
        if trainer.global_step > self._latest_update_step:
            self._take_in(pl_module)
            self._latest_update_step = trainer.global_step

    @torch.no_grad()
    def _take_in(self, module: L.LightningModule) -> None:
        assert self._average_model is not None
        count = int(self._average_model.n_averaged)
        # The first step's weights are taken as they are: what training starts from is no part of the average.
        share = 1 - self.decay_at(count + 1) if count else 1.0
        for average, weight in self._pairs(module):
            if weight.requires_grad:
                average.lerp_(weight.to(average.dtype), share)
        averaged_module: Any = self._average_model.module
        for held, current in zip(averaged_module.ranker.buffers(), module.ranker.buffers(), strict=True):  # type: ignore[operator, union-attr]
            held.copy_(current)
        self._average_model.n_averaged += 1

    def _pairs(self, module: L.LightningModule) -> Iterator[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
        assert self._average_model is not None
        return zip(self._average_model.module.parameters(), module.parameters(), strict=True)


def averaged(trainer: L.Trainer) -> TrainingModule | None:
    """Return the averaged model that a callback keeps, ours or one of Lightning's; None where none does."""
    for callback in callbacks_of(trainer, WeightAveraging):
        if callback._average_model is not None:
            average = callback._average_model.module
            assert isinstance(average, TrainingModule)
            # Lightning's own are made before the model is moved to its device.
            return average if callback._device is not None else average.to(trainer.strategy.root_device)
    return None
