"""Every yaml of negatives, loss and filter holds its contract: a newcomer's is tested the moment it exists."""

from __future__ import annotations

import pytest
from confs import CONF

from hardneg.testing import Conf, promises

ALL = Conf(CONF)


@pytest.mark.parametrize("group", ["negatives", "loss", "filter"])
def test_the_group_has_yamls(group):
    assert ALL.names(group)


@pytest.mark.parametrize("promise", promises(ALL, "negatives"), ids=str)
def test_negatives(promise):
    promise.hold()


@pytest.mark.parametrize("promise", promises(ALL, "loss"), ids=str)
def test_loss(promise):
    promise.hold()


@pytest.mark.parametrize("promise", promises(ALL, "filter"), ids=str)
def test_filter(promise):
    promise.hold()
