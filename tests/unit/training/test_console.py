"""What a run says of itself while it trains, and when it says that it is over."""

from __future__ import annotations

from unittest.mock import MagicMock

import lightning as L
import pytest
import torch

from hardneg.errors import UserError
from hardneg.training.callbacks.console import EpochLine


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_run_that_has_diverged_ends_at_the_epochs_end(loss):
    """Its numbers would be nDCG@10 of 0, and an arm of a comparison like any other."""
    line, trainer, module = EpochLine(), MagicMock(spec=L.Trainer), MagicMock(spec=L.LightningModule)
    trainer.accumulate_grad_batches, trainer.global_step, trainer.callbacks = 1, 7, []
    line.total, line.batches = torch.tensor(1.0) + loss, 2
    with pytest.raises(UserError, match=r"diverged: by step 7 the loss is .*optimizer.lr"):
        line.on_train_epoch_end(trainer, module)
