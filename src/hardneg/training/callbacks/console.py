"""What a run shows while it trains: a bar on a terminal, and one line an epoch for logs and pipes."""

from __future__ import annotations

import logging
import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

from hardneg.training.base import logs_now
from hardneg.training.callbacks.evaluation import measured_now

log = logging.getLogger(__name__)


class EpochLine(L.Callback):
    """Log the epoch's loss and dev metrics on one line."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log what Lightning has of this epoch."""
        if not trainer.is_global_zero:
            return
        wanted = ("train/loss", "val/") if measured_now(trainer) else ("train/loss",)
        shown = {k: v for k, v in trainer.callback_metrics.items() if k.startswith(wanted) and not _of_one_set(k)}
        numbers = "  ".join(f"{key} {float(value):.4f}" for key, value in shown.items())
        log.info(
            "epoch %d/%s  step %d  %s", trainer.current_epoch + 1, trainer.max_epochs, trainer.global_step, numbers
        )


def _of_one_set(key: str) -> bool:
    """Whether it is a dev metric of one of several data sets: with ten sets the line would be forty numbers long."""
    return key.startswith("val/") and key.count("/") > 1


class Bar(RichProgressBar):
    """Lightning's bar, without the loggers' version number and only where somebody can see it move."""

    def __init__(self) -> None:
        super().__init__(leave=False)
        self.shown: dict[str, Any] = {}
        if not sys.stderr.isatty():
            self.disable()

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Show losses and metrics only; the loss as often as it is logged, since reading it waits for the device."""
        if logs_now(trainer) and (loss := trainer.callback_metrics.get("train/loss")) is not None:
            self.shown["train/loss"] = round(float(loss), 4)
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        return {**self.shown, **items}
