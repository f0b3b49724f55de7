"""What follows a dev evaluation, whether it was within an epoch or at its end."""

from __future__ import annotations

from abc import abstractmethod

import lightning as L

from hardneg.training.callbacks.evaluation import last_measured, measured_now, measured_within


class AfterEvaluation(L.Callback):
    """Calls `evaluated` once for each dev evaluation; it comes after `Evaluate`.

    `judged` is the step of the last evaluation that was handled: up to it, none calls `evaluated`.
    """

    def __init__(self) -> None:
        self.judged = -1

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin with the next evaluation: that before training, and those before a run goes on, do not count."""
        self.judged = last_measured(trainer)

    @abstractmethod
    def evaluated(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Do what is to be done after this evaluation."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Handle an evaluation within an epoch."""
        if measured_within(trainer):
            self._once(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Handle one at its end."""
        if measured_now(trainer):
            self._once(trainer, pl_module)

    def _once(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if self.judged != trainer.global_step:
            self.judged = trainer.global_step
            self.evaluated(trainer, module)
