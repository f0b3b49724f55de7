"""What a run shows while it trains: a bar on a terminal, and one line an epoch for logs and pipes."""

from __future__ import annotations

import logging
import math
import sys
from contextlib import ExitStack
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

from hardneg.system.progress import Progress, progress
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


class StepLines(L.Callback):
    """Log the step and the time left every minute, where no bar can be seen: an epoch may take a day."""

    def __init__(self) -> None:
        self._shown = ExitStack()
        self._steps: Progress | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin where the run begins, or goes on."""
        total = trainer.estimated_stepping_batches
        whole = None if math.isinf(total) else int(total)
        self._steps = self._shown.enter_context(progress(whole, "train", "steps"))
        self._steps.skip(trainer.global_step)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Note the step."""
        if self._steps is not None:
            self._steps.done = trainer.global_step - self._steps.skipped

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say no more."""
        self._shown.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Say no more."""
        self._shown.close()


class Bar(RichProgressBar):
    """Lightning's bar, without the loggers' version number and only where somebody can see it move."""

    def __init__(self) -> None:
        super().__init__(leave=False)
        if not sys.stderr.isatty():
            self.disable()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave no half bar on the screen."""
        if self.progress is not None:
            self.progress.live.transient = True
        super().on_exception(trainer, pl_module, exception)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Show losses and metrics only."""
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        return items
