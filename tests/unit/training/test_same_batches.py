"""debug=overfit: one batch, again and again, with the negatives of the first round."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import lightning as L

from hardneg.data.datamodule import Batches
from hardneg.negatives.curriculum import Curriculum
from hardneg.training.callbacks.follow_curriculum import FollowCurriculum
from hardneg.training.callbacks.remine import Remine
from hardneg.training.callbacks.same_batches import SameBatches


def test_no_round_after_the_first_changes_the_negatives():
    batches, remine = Batches.__new__(Batches), Remine.__new__(Remine)
    follow = FollowCurriculum(Curriculum(temperature={"infonce": [0.1, 0.05]}), {})
    follow.curriculum.pace.plan(100)
    batches.loader = SimpleNamespace(sampler=SimpleNamespace(held=False))
    remine.every_n_epochs, remine.every_n_steps, remine.sources = 1, 5, {}
    trainer = L.Trainer.__new__(L.Trainer)
    trainer.callbacks = [remine, follow]
    trainer.datamodule = batches
    SameBatches().on_train_start(trainer, L.LightningModule())
    assert batches.loader.sampler.held
    assert remine.every_n_epochs is None and remine.every_n_steps is None
    late = Mock(spec=L.Trainer, current_epoch=9, train_dataloader=[None] * 10)
    assert follow.curriculum.temperatures(follow._progress(late, 2)) == {"infonce": 0.1}
