"""How often a curriculum looks at what was measured."""

from __future__ import annotations

import lightning as L
import pytest
from standin_trainer import Trainer

from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.curriculum_pace import Measured
from hardneg.training.callbacks.follow_curriculum import FollowCurriculum


@pytest.mark.parametrize("batches", [1, 3])
def test_a_step_is_looked_at_once_however_many_batches_make_it(batches, monkeypatch):
    seen = []
    pace = Measured(["dev"], above=1.0)
    monkeypatch.setattr(pace, "watch", lambda known, step: seen.append((step, known["dev"])))
    callback, module = FollowCurriculum(Curriculum(pace=pace, share={"a": [1, 0]}), {}), L.LightningModule()
    monkeypatch.setattr(module, "log_dict", lambda numbers: None)
    trainer = Trainer([callback])
    trainer.current_epoch, trainer.train_dataloader = 0, [None] * 3 * batches
    trainer.callback_metrics = {"dev": 0.5}
    for index in range(3 * batches):
        trainer.accumulates = index % batches < batches - 1
        trainer.global_step += not trainer.accumulates
        callback.on_train_batch_end(trainer, module, None, None, index)
    assert seen == [(1, 0.5), (2, 0.5), (3, 0.5)]
