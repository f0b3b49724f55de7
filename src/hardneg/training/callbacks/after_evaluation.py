"""What follows a dev evaluation, whether it was within an epoch or at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod

import lightning as L

from hardneg.training.callbacks.evaluation import Evaluate


class AfterEvaluation(L.Callback, ABC):
    """Calls `evaluated` after each dev evaluation of the training, in the trainer's order of callbacks.

    That before the first step, and those before a run goes on, do not count. Comes after `Evaluate`.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate

    @abstractmethod
    def evaluated(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Do what is to be done after this evaluation."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Follow an evaluation within an epoch."""
        if self.evaluate.just_measured:
            self.evaluated(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Follow an evaluation at an epoch's end."""
        if self.evaluate.just_measured:
            self.evaluated(trainer, pl_module)
