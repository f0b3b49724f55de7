"""The learning rate and the gradient's norm as they are logged, and the numbers of the rows."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers.logger import DummyLogger

from hardneg.training.callbacks.log_steps import LogSteps, NumberLastRow


@pytest.mark.parametrize(("done", "logged"), [(3, True), (4, False), (7, True)])
def test_rate_and_norm_of_the_step_at_hand(done, logged):
    module = L.LightningModule()
    module.one, module.two = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1, 1))
    module.frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    module.one.grad, module.two.grad = torch.tensor([3.0, 4.0]), torch.tensor([[12.0]])
    module.log_dict = Mock()
    optimizer = torch.optim.SGD([module.one, module.two], lr=0.25)
    LogSteps().on_before_optimizer_step(Mock(spec=L.Trainer, global_step=done, log_every_n_steps=4), module, optimizer)
    if not logged:
        return module.log_dict.assert_not_called()
    (said,) = module.log_dict.call_args.args
    assert said == {"train/lr": 0.25, "train/grad_norm": pytest.approx(13.0)}  # 3-4-12-13
    return None


class Rows(DummyLogger):
    """Keep what is logged as (step, metrics)."""

    def __init__(self):
        super().__init__()
        self.found = []

    def log_metrics(self, metrics, step=None):
        self.found.append((step, metrics))


class Module(BoringModel):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)["loss"]
        self.log("train/loss", loss)
        return loss


class Stop(L.Callback):
    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.should_stop or trainer.global_step == 3


@pytest.mark.parametrize("stopped_by", ["callback", "checkpoint", "time", "epochs"])
def test_the_row_of_a_stop_within_an_epoch_has_the_step_and_the_epoch_of_the_stop(stopped_by, tmp_path):
    """Where Lightning numbers it, which logs it off the grid because of the stop, it is the step before, epoch 0."""
    rows, stops = Rows(), {"callback": [Stop()], "checkpoint": [type("Kept", (Stop, Checkpoint), {})()]}
    trainer = L.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=rows,
        callbacks=[LogSteps(), *stops.get(stopped_by, []), NumberLastRow()],
        max_time={"microseconds": 1} if stopped_by == "time" else None,
        max_epochs=1,
        limit_val_batches=0,
        log_every_n_steps=50,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module())
    made = trainer.global_step
    assert made == {"callback": 3, "checkpoint": 3, "time": 1, "epochs": 64}[stopped_by]
    losses = [(step, metrics["epoch"]) for step, metrics in rows.found if "train/loss" in metrics]
    assert losses == ([(50, 1.0)] if stopped_by == "epochs" else [(made, 1.0)])
