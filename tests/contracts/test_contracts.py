"""Every yaml of negatives, loss and filter holds its contract: a newcomer's is tested the moment it exists."""

from __future__ import annotations

import functools
import inspect

import checks
import pytest
from confs import compose, names
from synthetic import make_model

from hardneg.config import classes
from hardneg.data.training_set import TrainingSet
from hardneg.negatives.base import OfflineSource, OnlineSource, Setting


def cases(group, tests, kind=None):
    """One case for each yaml (of that kind) and check, named after both."""
    found = [name for name in names(group) if kind is None or issubclass_of(group, name, kind)]
    return pytest.mark.parametrize(
        ("name", "check"),
        [pytest.param(name, check, id=f"{name}-{check.__name__}") for name in found for check in tests],
    )


def issubclass_of(group, name, kind):
    cls = checks.target_class(group, name)
    return inspect.isclass(cls) and issubclass(cls, kind)


@functools.cache
def build(group, name):
    return classes.build_group(compose(f"{group}=[{name}]")[group], group)[name]


@pytest.fixture(scope="module")
def setting(tangled, tmp_path_factory):
    filters = classes.build_group(compose("filter=[known_positives]").filter, "filter")
    cache = tmp_path_factory.mktemp("contracts")
    return Setting(TrainingSet(tangled), filters, cache, make_model(tangled, cache))


@pytest.fixture(scope="module")
def prepared(setting):
    @functools.cache
    def prepare(name):
        source = build("negatives", name)
        source.prepare(setting)
        if getattr(source, "follows_model", False):
            source.mine(setting)
        return source

    return prepare


@pytest.mark.parametrize("group", ["negatives", "loss", "filter"])
def test_the_group_has_yamls(group):
    assert names(group)


@pytest.mark.parametrize("name", names("negatives"))
def test_a_source_is_offline_or_online(name):
    assert isinstance(build("negatives", name), OfflineSource | OnlineSource)


@cases("negatives", checks.YAML)
def test_yaml_of_negatives(name, check):
    check("negatives", name)


@cases("loss", checks.YAML)
def test_yaml_of_loss(name, check):
    check("loss", name)


@cases("filter", checks.YAML)
def test_yaml_of_filter(name, check):
    check("filter", name)


@cases("negatives", checks.OFFLINE, OfflineSource)
def test_offline_source(name, check, prepared, setting):
    check(prepared(name), setting)


@cases("negatives", checks.ONLINE, OnlineSource)
def test_online_source(name, check):
    check(build("negatives", name))


@cases("loss", checks.LOSS)
def test_loss(name, check):
    check(build("loss", name))


@cases("filter", checks.FILTER)
def test_filter(name, check, setting):
    rule = build("filter", name)
    rule.prepare(setting.training)
    check(rule)
