"""What a run says of itself while it trains, and when it says that it is over."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from hardneg.errors import UserError
from hardneg.system import collectives
from hardneg.training.callbacks.console import EpochLine
from hardneg.training.callbacks.evaluation import Evaluate


def trainer_of(scaler=None, best=""):
    trainer = MagicMock(spec=L.Trainer)
    trainer.accumulate_grad_batches, trainer.global_step, trainer.callbacks = 1, 7, []
    trainer.is_last_batch, trainer.current_epoch, trainer.max_epochs, trainer.max_steps = True, 0, 1, -1
    trainer.precision_plugin = SimpleNamespace(scaler=scaler)
    trainer.checkpoint_callbacks = [ModelCheckpoint(), ModelCheckpoint(monitor="val/ndcg@10")]
    trainer.checkpoint_callbacks[1].best_model_path = str(best)
    return trainer


def ended(trainer, losses):
    """The mean that an epoch with these losses logs."""
    line, module = EpochLine(Mock(spec=Evaluate, just_measured=False, subset=None)), MagicMock(spec=L.LightningModule)
    for number, loss in enumerate(losses):
        line.on_train_batch_end(trainer, module, {"loss": torch.tensor(loss)}, None, number)
    line.on_train_epoch_end(trainer, module)
    return module.log.call_args.args[1]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_run_that_has_diverged_ends_at_the_epochs_end(loss, tmp_path):
    """Its numbers would be nDCG@10 of 0, and an arm of a comparison like any other."""
    with pytest.raises(UserError, match=r"by step 7 the loss is not finite.*of no use; take a lower optimizer.lr"):
        ended(trainer_of(), [1.0, loss])
    (tmp_path / "best.ckpt").touch()
    with pytest.raises(UserError, match=r"of no use; \S+/best.ckpt is from before, the best on dev; take"):
        ended(trainer_of(best=tmp_path / "best.ckpt"), [1.0, loss])


def test_steps_that_a_scaler_skips_do_not_count():
    """The scale of precision=16-mixed begins too high for some models: the first steps are skipped, and it falls."""
    nan = float("nan")
    assert ended(trainer_of(scaler=object()), [nan, 1.0, 3.0, nan]) == 2.0
    with pytest.raises(UserError, match="diverged"):
        ended(trainer_of(scaler=object()), [nan, nan])


def test_where_one_rank_has_diverged_all_end(monkeypatch):
    """Else the others would wait for it."""
    shares = []
    monkeypatch.setattr(collectives, "mean", lambda value: shares.append(value) or 0.5)
    with pytest.raises(UserError, match="diverged"):
        ended(trainer_of(), [1.0])
    assert shares == [1.0, 0.0]  # its own loss, and whether that is not finite
