"""A log file on a disk that is full."""

from __future__ import annotations

import logging

import pytest

from hardneg.system.log_file import LogFile


@pytest.fixture
def log():
    logger = logging.Logger("full")
    logger.addHandler(LogFile("/dev/full"))
    yield logger
    logger.handlers[0].stream = None  # or it would be flushed when the file is closed


def test_a_full_disk_shows_no_traceback_for_a_line_that_did_not_fit(log, capsys):
    log.error("no room left on the disk")
    assert capsys.readouterr().err == ""


def test_a_message_that_does_not_fit_its_arguments_is_told(log, capsys):
    log.error("%d steps", "many")
    assert "--- Logging error ---" in capsys.readouterr().err
