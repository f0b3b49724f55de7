"""What a run shows while it trains: a bar on a terminal, and a line an epoch or evaluation for logs and pipes."""

from __future__ import annotations

import logging
import math
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from torch import Tensor

from hardneg.errors import UserError
from hardneg.system import collectives
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import Progress, progress
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.trainer_state import logs_now

log = logging.getLogger(__name__)


class EpochLine(L.Callback):
    """Log the epoch's mean loss (`train/epoch_loss`), and show it with the dev metrics on one line.

    Ends a run whose loss has become NaN or infinite: nothing can come of it, and its results would be compared with
    others' as if they meant something. Looked at where the loss is read anyway, at evaluations and ends of epochs, by
    all ranks together. A batch whose step a gradient scaler skips, as with precision=16-mixed, changes no weights and
    does not count.

    The mean is over the epoch's batches of all ranks, also of an epoch that was interrupted and went on.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate
        # Of the losses; tensors where they are, so that no step waits for them.
        self.total: float | Tensor = 0.0
        self.batches: int | Tensor = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up the loss, which Lightning has divided by the batches that are accumulated; show dev within epochs."""
        loss = outputs["loss"].detach().float() * trainer.accumulate_grad_batches
        if _skips(trainer):
            counts = loss.isfinite()
            self.total, self.batches = self.total + loss.where(counts, 0.0), self.batches + counts.int()
        else:
            self.total, self.batches = self.total + loss, self.batches + 1
        if self.evaluate.just_measured:
            check_finite(trainer, self._mean(trainer))
            self._tell(trainer, _dev(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the mean, and show it beside the dev metrics if this end has any."""
        own = self._mean(trainer)
        mean = collectives.mean(own)
        self.total, self.batches = 0.0, 0
        pl_module.log("train/epoch_loss", mean)  # the same on every rank
        check_finite(trainer, own)
        self._tell(trainer, {"loss": mean} | (_dev(trainer) if self.evaluate.just_measured else {}))

    def _mean(self, trainer: L.Trainer) -> float:
        """This rank's mean so far; NaN where every step of an epoch was skipped."""
        batches = int(self.batches)
        return float("nan") if not batches and _skips(trainer) else float(self.total) / max(batches, 1)

    def _tell(self, trainer: L.Trainer, shown: dict[str, float]) -> None:
        if not trainer.is_global_zero:
            return
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in shown.items() if not _of_one_set(key))
        subset = self.evaluate.subset
        if subset is not None and any(key.startswith("val/") for key in shown):
            numbers += f"  (of {counted(len(subset.rows), 'document')})"
        epoch = _of(trainer.current_epoch + 1, trainer.max_epochs)
        log.info("epoch %s  step %s  %s", epoch, _of(trainer.global_step, trainer.max_steps), numbers)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed epoch has lost so far, as a mean over the ranks: a checkpoint holds one rank's state."""
        return {"total": collectives.mean(float(self.total)), "batches": int(self.batches)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved."""
        self.total, self.batches = state_dict["total"], state_dict["batches"]


def check_finite(trainer: L.Trainer, loss: float) -> None:
    """Raise `UserError` on every rank, with what to try, if the loss of any is not finite; all ranks must ask.

    One that ended alone would leave the others waiting for it.
    """
    # A share and not the mean of the losses, which leaves out what is NaN.
    if collectives.mean(float(not math.isfinite(loss))) == 0:
        return
    kept = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint) and one.monitor]
    best = [path for path in (Path(one.best_model_path) for one in kept) if path.is_file()]
    before = f"; {best[0]} is from before, the best on dev" if best else ""
    raise UserError(
        f"the training has diverged: by step {trainer.global_step} the loss is not finite, and the weights are of no"
        f" use{before}; take a lower optimizer.lr, more schedule.warmup or trainer.gradient_clip_val=1 (train/loss"
        " in metrics.csv says when it began, debug=detect_anomaly in which operation)"
    )


def _skips(trainer: L.Trainer) -> bool:
    """Whether a step whose gradients are not finite is left out, and tried with a smaller scale."""
    return getattr(trainer.precision_plugin, "scaler", None) is not None


def _dev(trainer: L.Trainer) -> dict[str, float]:
    return {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}


def _of(done: int, limit: int | None) -> str:
    """How many are done, and of how many where that is limited: Lightning writes -1 where it is not."""
    return f"{done}/{limit}" if limit is not None and limit >= 0 else str(done)


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
        self._steps = self._shown.enter_context(progress(int(trainer.estimated_stepping_batches), "train", "steps"))
        self._steps.skip(trainer.global_step)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Note how many steps are made."""
        if self._steps is not None:
            self._steps.done = trainer.global_step - self._steps.skipped

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End the lines."""
        self._shown.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """End the lines."""
        self._shown.close()


class Bar(RichProgressBar):
    """Lightning's bar, without the loggers' version number and only where somebody can see it move."""

    def __init__(self) -> None:
        super().__init__(leave=False)
        self.shown: dict[str, Any] = {}
        if not sys.stderr.isatty():
            self.disable()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave no half bar on the screen."""
        if self.progress is not None:
            self.progress.live.transient = True
        super().on_exception(trainer, pl_module, exception)

    def _get_train_description(self, current_epoch: int) -> str:
        """Count epochs from 1, as the lines above the bar do."""
        return f"Epoch {_of(current_epoch + 1, self.trainer.max_epochs)}"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Show losses and metrics only; the loss as often as it is logged, since reading it waits for the device."""
        if logs_now(trainer) and (loss := trainer.callback_metrics.get("train/loss")) is not None:
            self.shown["train/loss"] = round(float(loss), 4)
        items = super().get_metrics(trainer, pl_module)
        items.pop("v_num", None)
        return {**self.shown, **items}
