"""Early stopping by the dev split: judged where it was evaluated, within epochs too, and nowhere else."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from hardneg.training.callbacks.after_evaluation import AfterEvaluation
from hardneg.training.trainer_state import callbacks_of


class StopEarly(AfterEvaluation):
    """Have every `EarlyStopping` that watches a dev metric (`val/...`) judge each evaluation once.

    Lightning's callback looks at the end of every epoch, or of every validation of Lightning's own. It would count the
    last value of a metric measured every few epochs again and again, and see only the last of those measured within an
    epoch. Here it judges evaluations as it judges validations elsewhere: its patience is in evaluations. One that
    watches something else (`train/epoch_loss`) goes on by epochs. A run that has been stopped stays so when it is
    resumed.

    Comes after `Evaluate`, and before whatever is not needed once a run stops.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Keep those that watch dev from looking at ends of epochs by themselves."""
        for one in watching_dev(trainer):
            one._check_on_train_epoch_end = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End at once if the run had been stopped."""
        if any(one.stopping_reason != EarlyStoppingReason.NOT_STOPPED for one in watching_dev(trainer)):
            trainer.should_stop = True

    def evaluated(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Have each callback that watches dev judge the evaluation."""
        for one in watching_dev(trainer):
            one.on_validation_end(trainer, pl_module)


def watching_dev(trainer: L.Trainer) -> list[EarlyStopping]:
    """The callbacks that stop a run by a dev metric."""
    return [one for one in callbacks_of(trainer, EarlyStopping) if one.monitor.startswith("val/")]
