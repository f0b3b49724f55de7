"""What a trainer is at: which step this is, whether it has a row, what ends now; and the callbacks that it has."""

from __future__ import annotations

from typing import TypeVar

import lightning as L

Kind = TypeVar("Kind")


def callbacks_of(trainer: L.Trainer, kind: type[Kind]) -> list[Kind]:
    """The trainer's callbacks of a class, in their order."""
    return [one for one in trainer.callbacks if isinstance(one, kind)]  # type: ignore[attr-defined]


def logs_now(trainer: L.Trainer) -> bool:
    """Whether what is logged at the step just done is written (`trainer.log_every_n_steps`; 0: never)."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return every > 0 and trainer.global_step % every == 0


def at_a_step(trainer: L.Trainer) -> bool:
    """Whether the batch that ends now completes an optimiser step, rather than only adding to its gradients."""
    return not trainer.fit_loop._should_accumulate()


def just_logged(trainer: L.Trainer) -> bool:
    """Whether the batch that ends now completes a step that has a row: once a row, however many batches it takes."""
    return logs_now(trainer) and at_a_step(trainer)


def next_is_logged(trainer: L.Trainer) -> bool:
    """Whether what is logged at the step that is being made will be written."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return every > 0 and (trainer.global_step + 1) % every == 0


def ends_now(trainer: L.Trainer) -> bool:
    """Whether the epoch that ends now is the run's last, by its epochs, optimiser steps or time (`max_time`)."""
    epochs = trainer.max_epochs or -1  # -1: without end
    return stops_early(trainer) or 0 < epochs <= trainer.current_epoch + 1 or all_steps_made(trainer)


def all_steps_made(trainer: L.Trainer) -> bool:
    """Whether the run has made its last optimiser step, where these are limited (`max_steps`)."""
    return 0 < trainer.max_steps <= trainer.global_step


def stops_early(trainer: L.Trainer) -> bool:
    """Whether the run has been asked to end here, and has made the epochs or steps that it must (`min_epochs`)."""
    return trainer.should_stop and trainer.fit_loop._can_stop_early
