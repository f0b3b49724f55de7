"""The learning rates of all groups of weights."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import LearningRateMonitor

from hardneg.training.trainer_state import next_is_logged


class LearningRates(LearningRateMonitor):
    """Lightning's monitor, in the rows and with the steps of everything else that a run says of itself.

    Lightning's own writes rows beside them, a step too early (see `LogSteps`). `log_momentum` and `log_weight_decay`
    add those of each group.
    """

    def __init__(self, log_momentum: bool = False, log_weight_decay: bool = False) -> None:
        super().__init__("step", log_momentum, log_weight_decay)

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Log the rates that the step to come is made with, if it has a row."""
        if next_is_logged(trainer):
            trainer.lightning_module.log_dict(self._extract_stats(trainer, "any"))
