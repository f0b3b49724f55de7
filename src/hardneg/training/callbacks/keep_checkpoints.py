"""Which checkpoints a run keeps: the last state and the best on dev."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from hardneg.system import distributed
from hardneg.training.base import ends_now
from hardneg.training.callbacks.evaluation import measured_now, measured_within

RARE = 20  # an epoch's end writes last.ckpt once so many times what writing takes has passed since it was last written


def last_checkpoints(folder: Path, every_n_steps: int) -> list[ModelCheckpoint]:
    """Write last.ckpt every so many steps and at epochs' ends; Lightning's callback can do only one of the two.

    Where epochs are short, their ends write it only as often as takes a twentieth of the time, and the last one in any
    case: a table of word vectors of 140 MB, written after each epoch of a third of a second, made a third of the run.
    """
    return [
        _WithinEpoch(dirpath=folder, filename="last", every_n_train_steps=every_n_steps),
        _AtEpochEnd(dirpath=folder, filename="last", every_n_epochs=1, save_on_train_epoch_end=True),
    ]


def best_checkpoint(folder: Path, metric: str) -> ModelCheckpoint:
    """Write best.ckpt when the dev metric is the highest so far."""
    return _Best(dirpath=folder, filename="best", monitor=f"val/{metric}", mode="max", save_on_train_epoch_end=True)


class _Keep(ModelCheckpoint):
    """One file with one name: no version counters, and no metric (whose `=` would break Hydra's parser) in the name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(save_top_k=1, enable_version_counter=False, auto_insert_metric_name=False, **kwargs)


class _WithinEpoch(_Keep):
    """Leave the last batch, of an epoch or of the run, to the epoch-end checkpoint.

    One written between that batch and the evaluation would be resumed as a finished epoch, without its evaluation.
    """

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *rest: Any) -> None:
        """Save as Lightning does, unless the epoch ends here."""
        if not trainer.is_last_batch and not 0 < trainer.max_steps <= trainer.global_step:
            super().on_train_batch_end(trainer, pl_module, *rest)


class _AtEpochEnd(_Keep):
    """Write at an epoch's end, unless that would be too much writing."""

    again = 0.0  # when, by the monotonic clock, it is time to write once more

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save as Lightning does where it is time to, and at the run's end."""
        if ends_now(trainer) or distributed.first(lambda: time.monotonic() >= self.again):
            began = time.monotonic()
            super().on_train_epoch_end(trainer, pl_module)
            self.again = time.monotonic() + RARE * (time.monotonic() - began)


class _Best(_Keep):
    """Look only where dev was evaluated: Lightning remembers the last value where it was not."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *rest: Any) -> None:
        """Save as at an epoch's end, if there was an evaluation within one."""
        if measured_within(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save as Lightning does, if this epoch has a dev metric of its own."""
        if measured_now(trainer):
            super().on_train_epoch_end(trainer, pl_module)
