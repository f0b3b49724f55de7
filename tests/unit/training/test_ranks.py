"""Joining the ranks that the trainer asks for; no process is started."""

from __future__ import annotations

import logging

import pytest
from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver

from hardneg.training import ranks


def test_what_ends_all_ranks_with_one_is_told_meanwhile():
    logger = logging.getLogger(ranks.WATCHES_RANKS)
    assert _ChildProcessObserver.__module__ == logger.name
    before = logger.level
    with pytest.raises(KeyError), ranks._told_of_kills():
        assert logger.level == logging.INFO
        raise KeyError
    assert logger.level == before
