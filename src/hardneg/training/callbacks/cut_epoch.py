"""Going on within an epoch that a run's end had cut short, where another run trains on from its last checkpoint."""

from __future__ import annotations

from typing import Any

import lightning as L


class CutEpoch(L.Callback):
    """Treat a checkpoint's last epoch as unfinished if some of its batches were not trained on.

    A run that ends within an epoch (`trainer.max_steps`, early stopping) does what belongs to an epoch's end, and
    Lightning counts the epoch. A run that trains on would leave out the rest of its batches, and make fewer steps than
    it was asked for where its epochs are limited too.
    """

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Count the epoch as not processed yet; comes before the loops read what they were at."""
        loop = checkpoint["loops"]["fit_loop"]
        batches, epochs = loop["epoch_loop.batch_progress"], loop["epoch_progress"]
        ended = epochs["current"]["processed"] == epochs["current"]["started"]
        if ended and not batches["is_last_batch"]:
            for count in (epochs["current"], epochs["total"]):
                count["processed"] -= 1
