"""Commands run from Python, as notebooks do."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from hardneg.cli import run
from hardneg.errors import ConfigError, UserError
from hardneg.mined import open_mined


def test_a_command_leaves_the_process_as_it_was(environment, small, tmp_path, capsys):
    root = logging.getLogger()
    before = (list(sys.argv), dict(os.environ), list(root.handlers), root.level)
    run("train", *small, "strategy=bm25", "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
    run("train", *small, "strategy=bm25", "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=again")
    assert (list(sys.argv), dict(os.environ), list(root.handlers), root.level) == before
    said = capsys.readouterr()
    assert "epoch 1/1" in said.out and said.err == ""
    lists = open_mined(tmp_path / "run")
    assert lists.source == "bm25" and lists.fates["kept"] > 0
    assert lists.store.folder == open_mined(tmp_path / "again").store.folder


def test_an_error_is_an_exception(environment, small):
    with pytest.raises(ConfigError, match="batch_size=0"):
        run("train", *small, "batch_size=0")
    with pytest.raises(UserError, match="toyy"):
        run("train", "data=toyy")
    with pytest.raises(UserError, match="exit code 2"):
        run("trian")


def test_an_interrupt_is_one(environment, small):
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 3, signal_name: SIGINT}"
    with pytest.raises(KeyboardInterrupt):
        run("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run", stop)
