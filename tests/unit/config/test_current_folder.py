"""Packages of one's own in the current folder."""

from __future__ import annotations

import logging
import sys

import pytest

from hardneg.config import classes
from hardneg.config.current_folder import current_folder
from hardneg.errors import ConfigError
from hardneg.retrieval.metrics import OwnMetric, resolve


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a package of one's own, and another that has no leave."""
    for package in ("studied_here", "not_admitted"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "metrics.py").write_text("def first_hit(qrels, run):\n    return {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(current_folder, "folders", {})
    monkeypatch.setenv("HARDNEG_TARGETS", "studied_here.")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("studied_here")]:
        del sys.modules[name]


def test_an_admitted_package_is_found_in_the_current_folder_and_said_once(here, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        (found,) = resolve([{"_target_": "studied_here.metrics.first_hit"}])
        assert isinstance(found, OwnMetric) and found.name == "first_hit"
    assert caplog.text.count("studied_here is imported from the current folder") == 1
    assert str(here) not in sys.path


def test_no_other_package_of_that_folder_is(here):
    with pytest.raises(ConfigError, match="not allowed"):
        classes.check_target("a", {"_target_": "not_admitted.metrics.first_hit"})
    with pytest.raises(ModuleNotFoundError):
        __import__("not_admitted")
