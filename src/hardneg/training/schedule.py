"""Learning-rate schedules over the steps of a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

SHAPES = ("linear", "cosine", "constant")


@dataclass(frozen=True)
class Schedule:
    """Warm up over a share of the steps, then fall to zero along `shape`, or stay (`constant`).

    `warmup_steps` gives the length of the warm-up in optimiser steps, in place of the share; where the run is no longer
    than that, so that its rate would never be reached, the share is taken after all.
    """

    shape: str = "linear"
    warmup: float = 0.1
    warmup_steps: int | None = None

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ConfigError(f"schedule.shape must be one of {', '.join(SHAPES)}, got {self.shape!r}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"schedule.warmup is a share of the steps, 0 <= warmup < 1, got {self.warmup}")
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise ConfigError(f"schedule.warmup_steps must be 0 or more, or null, got {self.warmup_steps}")

    def over(self, optimizer: Optimizer, steps: int) -> LambdaLR:
        """Attach the schedule to an optimizer that will take this many steps."""
        from transformers import get_scheduler

        name = "constant_with_warmup" if self.shape == "constant" else self.shape
        return get_scheduler(name, optimizer, num_warmup_steps=self.warmup_of(steps), num_training_steps=steps)

    def warmup_of(self, steps: int) -> int:
        """Return how many of a run's steps warm up."""
        share = int(self.warmup * steps)
        if self.warmup_steps is None:
            return share
        if self.warmup_steps < steps or self.warmup_steps == 0:
            return self.warmup_steps
        log.warning(
            "this run of %d steps would end within schedule.warmup_steps=%d and never reach its learning rate; it"
            " warms up over %d steps instead (schedule.warmup=%s of them)",
            *(steps, self.warmup_steps, share, self.warmup),
        )
        return share
