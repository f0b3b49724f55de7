"""What every logged row of a training says: its step, its epoch, the learning rate and the norm of the gradient."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch.optim import Optimizer

from hardneg.training.base import gradient_factor
from hardneg.training.trainer_state import logs_now, next_is_logged


class LogSteps(L.Callback):
    """Log `train/lr` and `train/grad_norm`, and number the rows as everything else that a run says of itself does.

    A step is an optimiser step that has been made: a row of step n holds what the n-th saw, and what was measured after
    it; step 0 is before the first. Epochs count from 1. (Lightning itself counts from 0, and a row's step is what was
    done before it.) `train/grad_norm` is the norm over all trained weights before it is clipped, `train/lr` the rate
    that this step was made with: the first group's, beside `train/lr/GROUP` of every group that the config names
    (`optimizer.groups`, `optimizer.layer_decay`).
    """

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Log the rate and the norm; the gradients are whole here, and not clipped yet."""
        if not next_is_logged(trainer):
            return
        norm: Any = torch.nn.utils.get_total_norm([p.grad for p in pl_module.parameters() if p.grad is not None])
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # weights split over devices
        factor = gradient_factor(trainer, optimizer)
        norm = norm if factor is None else norm / factor
        pl_module.log_dict({**rates(optimizer), "train/grad_norm": norm})

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Number the row, if this step has one by `trainer.log_every_n_steps`."""
        if logs_now(trainer):
            number(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Number the row of what was measured at the epoch's end."""
        number(trainer, pl_module)


class NumberLastRow(Checkpoint):
    """Number the row that Lightning writes where a run is stopped, whether the step has one otherwise or not.

    Comes after all that may stop a run: it is a kind of checkpoint, since Lightning calls these after the timer of
    `max_time`, which it adds itself.
    """

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Number the row if the run is to end here."""
        if trainer.should_stop:
            number(trainer, pl_module)


def number(trainer: L.Trainer, module: L.LightningModule) -> None:
    """Say the step and the epoch of the row that is to be written."""
    # Lightning takes a metric of this name for the row's step. In float32 it is exact up to 16 million.
    module.log_dict({"step": float(trainer.global_step), "epoch": float(trainer.current_epoch + 1)})


def rates(optimizer: Optimizer) -> dict[str, float]:
    """The learning rates of an optimizer's groups as they are logged."""
    named = {f"train/lr/{group['name']}": float(group["lr"]) for group in optimizer.param_groups if "name" in group}
    return {"train/lr": float(optimizer.param_groups[0]["lr"]), **named}
