"""The same batches in every epoch, to see whether a model can learn them by heart."""

from __future__ import annotations

import lightning as L

from hardneg.data.datamodule import Batches
from hardneg.training.callbacks.follow_curriculum import FollowCurriculum
from hardneg.training.callbacks.remine import Remine
from hardneg.training.trainer_state import callbacks_of


class SameBatches(L.Callback):
    """Make every epoch the first one again: its queries in its order, their positives and the negatives drawn for them.

    With trainer.limit_train_batches=N it does what Lightning's `overfit_batches` does elsewhere.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hold the order of this rank's batches."""
        batches = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(batches, Batches) and batches.loader is not None
        batches.loader.sampler.held = True
        for remine in callbacks_of(trainer, Remine):  # another round has other negatives; the first stays
            remine.every_n_epochs = remine.every_n_steps = None
        for follow in callbacks_of(trainer, FollowCurriculum):
            follow.held = True
