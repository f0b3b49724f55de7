"""Learning-rate schedules over the steps of a run."""

from __future__ import annotations

import inspect
import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LinearLR, LRScheduler, ReduceLROnPlateau

from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

SHAPES = ("linear", "cosine", "constant", "inverse_sqrt")
DECAYS = ("linear", "cosine", "1-sqrt")
LENGTHS = ("total_steps", "T_max", "num_training_steps")  # how schedulers call the length of a run
NEVER = sys.maxsize  # a frequency at which Lightning itself makes no step


@dataclass(frozen=True)
class Schedule:
    """Warm up over a share of the steps, then fall to zero along `shape`, or stay (`constant`).

    `inverse_sqrt` falls as the square root of the steps rises, and does not depend on the run's length but for its
    warm-up: at step n it is sqrt(w / n) of the rate, with w the steps of the warm-up (10,000 where there is none).

    `warmup_steps` gives the length of the warm-up in optimiser steps, in place of the share; where the run is no longer
    than that, so that its rate would never be reached, the share is taken after all.

    Raises `ConfigError` for another `shape` and negative steps.
    """

    shape: str = "linear"
    warmup: float = 0.1
    warmup_steps: int | None = None
    shapes: ClassVar[tuple[str, ...]] = SHAPES
    interval: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        if self.shape not in self.shapes:
            raise ConfigError(f"schedule.shape must be one of {', '.join(self.shapes)}, got {self.shape!r}")
        check_share("warmup", self.warmup)
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise ConfigError(f"schedule.warmup_steps must be 0 or more, or null, got {self.warmup_steps}")

    def over(self, optimizer: Optimizer, steps: int) -> LambdaLR:
        """Attach the schedule to an optimizer that will take this many steps."""
        from transformers import get_scheduler

        name = "constant_with_warmup" if self.shape == "constant" else self.shape
        return get_scheduler(name, optimizer, num_warmup_steps=self.warmup_of(steps), num_training_steps=steps)

    def attached(self, optimizer: Optimizer, steps: int, epochs: int) -> list[dict[str, Any]]:
        """Attach it as Lightning takes it; `steps` and `epochs` are the run's."""
        return [{"scheduler": self.over(optimizer, steps), "interval": "step"}]

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


@dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """Warm up, stay at the full rate, and fall over the last `decay` of the steps (MiniCPM, arXiv:2404.06395).

    The fall is along `shape` (of the share x of it that is done: 1 - x, half a cosine, or 1 - sqrt(x)) and ends at
    `floor` of the rate; the warm-up begins there too. `decay_steps` gives the length of the fall in optimiser steps, in
    place of the share; it is no longer than what the warm-up leaves of the run.

    Raises `ConfigError` for shares that are more than the run together.
    """

    shape: str = "1-sqrt"
    decay: float = 0.2
    decay_steps: int | None = None
    floor: float = 0.0
    shapes: ClassVar[tuple[str, ...]] = DECAYS

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("decay", self.decay), ("floor", self.floor)):
            check_share(name, value)
        if self.decay_steps is not None and self.decay_steps < 0:
            raise ConfigError(f"schedule.decay_steps must be 0 or more, or null, got {self.decay_steps}")
        if self.decay_steps is None and self.warmup + self.decay > 1:
            raise ConfigError(
                f"schedule.warmup={self.warmup} and schedule.decay={self.decay} are shares of one run, and more than it"
            )

    def over(self, optimizer: Optimizer, steps: int) -> LambdaLR:
        """Attach the schedule to an optimizer that will take this many steps."""
        from transformers import get_wsd_schedule

        warmup = self.warmup_of(steps)
        falls = round(self.decay * steps) if self.decay_steps is None else self.decay_steps
        falls = min(falls, steps - warmup)
        shape: dict[str, Any] = {"decay_type": self.shape, "min_lr_ratio": self.floor}
        return get_wsd_schedule(optimizer, warmup, falls, num_training_steps=steps, **shape)


@dataclass(frozen=True)
class Plateau(Schedule):
    """Warm up and stay; multiply by `factor` when the dev metric of `evaluate.best` has not risen for a while.

    That is for more than `patience` evaluations, each of which counts once, within epochs too (see `FollowPlateau`).
    A new best must be higher by `threshold`, an absolute difference. No rate falls below `min_lr`.

    Raises `ConfigError` for a `factor` outside 0 to 1, and negative numbers.
    """

    shape: str = "constant"
    factor: float = 0.5
    patience: int = 1
    threshold: float = 0.0
    cooldown: int = 0
    min_lr: float = 0.0
    shapes: ClassVar[tuple[str, ...]] = ("constant",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.factor < 1:
            raise ConfigError(f"schedule.factor is what the rate is multiplied by, 0 < factor < 1, got {self.factor}")
        for name in ("patience", "threshold", "cooldown", "min_lr"):
            if getattr(self, name) < 0:
                raise ConfigError(f"schedule.{name} must be 0 or more, got {getattr(self, name)}")

    def attached(self, optimizer: Optimizer, steps: int, epochs: int) -> list[dict[str, Any]]:
        """Attach the warm-up, and what lowers the rate, of which Lightning keeps the state only."""
        lowers = ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            threshold_mode="abs",
            cooldown=self.cooldown,
            min_lr=self.min_lr,
        )
        # It multiplies, as the other does, so that neither undoes what the other did.
        warmup = self.warmup_of(steps)
        rises = LinearLR(optimizer, start_factor=1 / max(warmup, 1), total_iters=max(warmup - 1, 1))
        followed = {"scheduler": lowers, "interval": "epoch", "frequency": NEVER, "monitor": "val", "strict": False}
        return [{"scheduler": rises, "interval": "step"}, followed]


@dataclass(frozen=True)
class AnyScheduler:
    """A scheduler of torch's or transformers', made with the optimizer: `_target_` with `_partial_: true`.

    It makes a step after each optimiser step or epoch (`interval`). The run's length, in these, is filled in where the
    scheduler asks for one and is given none (`total_steps`, `T_max`, `num_training_steps`).

    Raises `ConfigError` for another `interval`, a scheduler without `_partial_: true`, and one that lacks an argument.
    """

    scheduler: Callable[..., LRScheduler]
    interval: str = "step"

    def __post_init__(self) -> None:
        if self.interval not in ("step", "epoch"):
            raise ConfigError(f"schedule.interval must be step or epoch, got {self.interval!r}")
        made = self.scheduler.func if isinstance(self.scheduler, partial) else self.scheduler
        if isinstance(self.scheduler, Schedule) or not callable(made):
            raise ConfigError("schedule.scheduler is not one that takes an optimizer: give it _partial_: true")
        if made is ReduceLROnPlateau:
            raise ConfigError("ReduceLROnPlateau waits for a dev metric: take schedule=plateau, which has its settings")
        # A partial says nothing of what it lacks before it is called, which is after mining.
        try:
            inspect.signature(self.scheduler).bind(None, **dict.fromkeys(self._lengths(), 1))
        except TypeError as error:
            raise ConfigError(
                f"schedule.scheduler ({made.__name__}): {error}; give it as +schedule.scheduler.NAME=VALUE"
            ) from error

    def _lengths(self) -> list[str]:
        """The names by which the scheduler asks for the run's length, and is given none."""
        given = self.scheduler.keywords if isinstance(self.scheduler, partial) else {}
        if {"epochs", "steps_per_epoch"} <= given.keys():
            return []
        asked = inspect.signature(self.scheduler).parameters
        return [name for name in LENGTHS if name in asked and given.get(name) is None]

    def attached(self, optimizer: Optimizer, steps: int, epochs: int) -> list[dict[str, Any]]:
        """Attach it as Lightning takes it; `steps` and `epochs` are the run's."""
        missing = dict.fromkeys(self._lengths(), steps if self.interval == "step" else epochs)
        return [{"scheduler": self.scheduler(optimizer, **missing), "interval": self.interval}]


def check_share(name: str, value: float) -> None:
    """Raise `ConfigError` for a number that is not a share, 0 or more and below 1."""
    if not 0 <= value < 1:
        raise ConfigError(f"schedule.{name} is a share of the steps, 0 <= {name} < 1, got {value}")


def epochs_of(steps: int, steps_an_epoch: int) -> int:
    """How many epochs a run has, the last of which may be begun only."""
    return max(math.ceil(steps / max(steps_an_epoch, 1)), 1)
