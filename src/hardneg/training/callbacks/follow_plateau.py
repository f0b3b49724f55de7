"""Lower the learning rate by the dev split, where it was evaluated (`schedule=plateau`)."""

from __future__ import annotations

import lightning as L
from torch.optim.lr_scheduler import ReduceLROnPlateau

from hardneg.training.callbacks.after_evaluation import AfterEvaluation


class FollowPlateau(AfterEvaluation):
    """Tell every `ReduceLROnPlateau` each dev evaluation once, within epochs too.

    Lightning would read the metric at ends of epochs only, and the last one again where there was none. The value of
    before training, of a model that has not learnt anything, does not count. Comes after `Evaluate`, and before what
    writes checkpoints: those hold the rate that a resumed run goes on with.
    """

    def evaluated(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Have each schedule of this kind take a step by the dev metric."""
        value = float(self.evaluate.history[-1][f"val/{self.evaluate.best}"])
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(value)
