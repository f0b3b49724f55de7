"""A logger's level for a while."""

from __future__ import annotations

import logging

import pytest

from hardneg.system.log_level import at_level


def test_the_level_is_put_back_also_after_an_error():
    logger = logging.getLogger("a.library")
    logger.setLevel(logging.WARNING)
    with pytest.raises(KeyError), at_level("a.library", logging.ERROR):
        assert logger.level == logging.ERROR
        raise KeyError
    assert logger.level == logging.WARNING
