"""How often the end of an epoch writes last.ckpt."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from hardneg.training.callbacks import keep_checkpoints
from hardneg.training.callbacks.keep_checkpoints import last_checkpoints


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Train epochs of so many seconds, by a clock that writing takes a second of; return those whose end wrote."""
    clock, epochs = [100.0], []

    def save(self, trainer, module):
        epochs.append(trainer.current_epoch)
        clock[0] += 1.0

    monkeypatch.setattr(keep_checkpoints.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(ModelCheckpoint, "on_train_epoch_end", save)

    def train(count, seconds, stops_at=None):
        at_the_end = last_checkpoints(tmp_path, 200)[1]
        for epoch in range(count):
            clock[0] += seconds
            stops = epoch == stops_at
            facts = {"current_epoch": epoch, "max_epochs": count, "max_steps": -1, "global_step": 0}
            trainer = Mock(spec=L.Trainer, **facts, should_stop=stops, fit_loop=Mock(_can_stop_early=True))
            at_the_end.on_train_epoch_end(trainer, Mock(spec=L.LightningModule))
            if stops:
                break
        return epochs

    return train


def test_where_epochs_are_long_each_end_writes(written):
    assert written(4, 20.0) == [0, 1, 2, 3]


def test_where_they_are_short_writing_takes_a_twentieth_of_the_time_and_the_last_end_writes(written):
    assert written(12, 5.0) == [0, 4, 8, 11]


def test_the_end_of_a_run_that_stops_early_writes(written):
    assert written(12, 5.0, stops_at=2) == [0, 2]
