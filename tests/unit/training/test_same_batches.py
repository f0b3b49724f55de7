"""debug=overfit: one batch, again and again, with the negatives of the first round."""

from __future__ import annotations

from types import SimpleNamespace

import lightning as L

from hardneg.data.datamodule import Batches
from hardneg.training.callbacks.remine import Remine
from hardneg.training.callbacks.same_batches import SameBatches


def test_no_round_after_the_first_changes_the_negatives():
    batches, remine = Batches.__new__(Batches), Remine.__new__(Remine)
    batches.loader = SimpleNamespace(sampler=SimpleNamespace(held=False))
    remine.every_n_epochs, remine.every_n_steps, remine.sources = 1, 5, {}
    trainer = L.Trainer.__new__(L.Trainer)
    trainer.callbacks = [remine]
    trainer.datamodule = batches
    SameBatches().on_train_start(trainer, L.LightningModule())
    assert batches.loader.sampler.held
    assert remine.every_n_epochs is None and remine.every_n_steps is None
