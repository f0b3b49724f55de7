"""Warming a temperature up: from a blunt softmax to the sharpness that the loss is set to."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L

from hardneg.errors import ConfigError
from hardneg.training.base import TrainingModule

log = logging.getLogger(__name__)


class TemperatureWarmup(L.Callback):
    """Raise the scale, 1 / temperature, from 1 in a line to the loss's own over the first `steps` optimiser steps.

    SimLM's `t_warmup` (arXiv:2207.02578, simlm/src/models/biencoder_model.py): at step s of n a loss of temperature t
    has the scale max(1, s / n / t). `losses` names those that are warmed up; null: all that have a temperature. It
    depends on the step alone, so a resumed run has the same temperatures as one that was never interrupted.

    Raises `ConfigError` for `steps` below 1.
    """

    def __init__(self, steps: int, losses: Sequence[str] | None = None) -> None:
        if steps < 1:
            raise ConfigError(f"callbacks.temperature_warmup.steps must be 1 or more, got {steps}")
        self.steps, self.losses = steps, None if losses is None else list(losses)
        self.final: dict[str, float] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Note what the losses are set to; comes before a checkpoint's weights, which may hold a warm temperature."""
        if self.final or not isinstance(pl_module, TrainingModule):
            return
        self.final = self.chosen(dict(pl_module.losses.items()))

    def chosen(self, losses: Mapping[str, Any]) -> dict[str, float]:
        """Return the losses that are warmed up, and their temperatures; raises `ConfigError` for one that has none."""
        there = {name: loss for name, loss in losses.items() if loss.has_temperature}
        names = list(there) if self.losses is None else self.losses
        if not names or (unknown := sorted(set(names) - set(there))):
            asked = ", ".join(unknown) if names else "all"
            raise ConfigError(
                f"callbacks.temperature_warmup.losses names {asked}; with a temperature that is set, not learned, there"
                f" are {', '.join(there) or 'none'}"
            )
        return {name: float(there[name].temperature) for name in names}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Warn where the run ends before its losses have the temperatures that they are set to."""
        steps = trainer.estimated_stepping_batches
        for name, value in self.final.items():
            if (reached := self.at(int(min(steps, self.steps)), value)) > value:
                log.warning(
                    "the run's %d steps end within callbacks.temperature_warmup.steps=%d: loss.%s.temperature comes"
                    " down to %.3g, not to %.3g; train longer or warm up less",
                    *(steps, self.steps, name, reached, value),
                )

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Set the temperatures of this step."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.global_step <= self.steps:
            for name, value in self.final.items():
                pl_module.losses[name].set_temperature(self.at(trainer.global_step, value))

    def at(self, step: int, final: float) -> float:
        """Return the temperature of a step, 0 before the first update."""
        # Scales below 1 are of temperatures above it, which have nothing to be warmed up to.
        return final / min(1.0, max(step / self.steps, final)) if final < 1 else final
