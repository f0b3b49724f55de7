"""A run's config is checked before it has a folder, and its command does not check it once more."""

from __future__ import annotations

import pytest
from confs import compose

from hardneg.errors import ConfigError
from hardneg.preflight.config import check_before_start, check_config


@pytest.fixture
def asked(monkeypatch):
    asked = []
    monkeypatch.setattr("hardneg.preflight.parts.check_parts", asked.append)
    return asked


def test_what_was_checked_before_the_start_is_not_checked_by_the_command(asked):
    check_before_start(compose("data=toy"))
    check_config(compose("data=toy"))
    assert len(asked) == 1
    check_config(compose("data=toy"))
    assert len(asked) == 2, "only the run that begins at once is spared"
    check_before_start(compose("data=toy"))
    check_before_start(compose("data=toy"))
    assert len(asked) == 4, "the next run may find other files"


def test_another_config_is_checked(asked):
    check_before_start(compose("data=toy"))
    check_config(compose("data=toy", "seed=2"))
    assert [node["seed"] for node in asked] == [1, 2]


def test_what_was_refused_counts_as_unchecked(asked):
    def refuse(cfg):
        raise ConfigError("no")

    with pytest.raises(ConfigError):
        check_before_start(compose("data=toy"), refuse)
    assert not asked
    check_config(compose("data=toy"))
    assert len(asked) == 1
