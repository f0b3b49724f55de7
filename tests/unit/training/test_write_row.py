"""Rows that are written at once, to all loggers."""

from __future__ import annotations

from types import SimpleNamespace

import lightning as L
import pytest

from hardneg.training.write_row import write_mined, write_row


@pytest.fixture
def trainer():
    trainer, rows = L.Trainer(logger=False, enable_checkpointing=False), []
    logger = SimpleNamespace(log_metrics=lambda metrics, step: rows.append((metrics, step)))
    trainer.loggers = [logger, logger]
    trainer.rows = rows
    return trainer


def test_every_logger_has_it_at_the_step_just_done_unless_another_is_named(trainer):
    write_row(trainer, {"val/x": 0.5})
    write_row(trainer, {"val/x": 0.25}, step=7)
    assert trainer.rows == [({"val/x": 0.5}, 0)] * 2 + [({"val/x": 0.25}, 7)] * 2


def test_mining_is_told_on_the_screen_and_logged(trainer, caplog):
    caplog.set_level("INFO")
    write_mined(trainer, "bm25", {"kept": 0.25}, 4)
    assert "bm25 at step 4: kept 0.25" in caplog.text
    assert trainer.rows[0] == ({"mining/bm25/kept": 0.25}, 4)
