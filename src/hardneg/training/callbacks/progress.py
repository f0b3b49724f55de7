"""How far training is, written beside the run for those who look on from outside."""

from __future__ import annotations

import math
import time
from pathlib import Path

import lightning as L

from hardneg.runs import status
from hardneg.training.callbacks.evaluation import Evaluate

EVERY = 1.0  # seconds between two notes at least: a small file, and nobody looks more often


class NoteProgress(L.Callback):
    """Note step, number of steps and the dev metrics of the best evaluation so far in the run's status."""

    def __init__(self, folder: Path, evaluate: Evaluate) -> None:
        self.folder, self.evaluate = folder, evaluate
        self.noted = -math.inf

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note how many steps there will be."""
        self._note(trainer, steps=int(trainer.estimated_stepping_batches))

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Note the step, not more often than somebody could see it, and what has just been evaluated."""
        if time.monotonic() - self.noted >= EVERY or self.evaluate.just_measured:
            self._note(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the metrics of the evaluation that has just been."""
        self._note(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Note the step that a run stopped at, which its message and its checkpoint name."""
        self._note(trainer)

    def _note(self, trainer: L.Trainer, **fields: int) -> None:
        self.noted = time.monotonic()
        if not trainer.is_global_zero:
            return
        best = self.evaluate.best_point or {}
        dev_at_best = {key.removeprefix("val/"): value for key, value in best.items() if key.startswith("val/")}
        status.write(self.folder, step=trainer.global_step, dev_at_best=dev_at_best, **fields)
