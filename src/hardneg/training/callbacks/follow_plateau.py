"""Lower the learning rate by the dev split, where it was evaluated (`schedule=plateau`)."""

from __future__ import annotations

import lightning as L
from torch.optim.lr_scheduler import ReduceLROnPlateau

from hardneg.training.callbacks.evaluation import Evaluate, measured_now, measured_within


class FollowPlateau(L.Callback):
    """Tell every `ReduceLROnPlateau` each dev evaluation once, within epochs too.

    Lightning would read the metric at ends of epochs only, and the last one again where there was none. The value of
    before training, of a model that has not learnt anything, does not count. Comes after `Evaluate`, and before what
    writes checkpoints: those hold the rate that a resumed run goes on with.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate
        self.followed = -1  # the step of the last evaluation that was told

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin with the next evaluation."""
        self.followed = max((int(point["step"]) for point in self.evaluate.history), default=-1)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Tell an evaluation within an epoch."""
        if measured_within(trainer):
            self._tell(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell one at its end."""
        if measured_now(trainer):
            self._tell(trainer)

    def _tell(self, trainer: L.Trainer) -> None:
        if self.followed == trainer.global_step:
            return
        self.followed = trainer.global_step
        value = float(self.evaluate.history[-1][f"val/{self.evaluate.best}"])
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(value)
