"""The one door through which classes are made: which are allowed, and what they are given."""

from __future__ import annotations

import pytest
from confs import compose
from omegaconf import OmegaConf

from hardneg.config import classes
from hardneg.errors import ConfigError


def test_a_plug_in_is_allowed_by_the_environment_only(monkeypatch):
    node = {"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}
    with pytest.raises(ConfigError, match="not allowed"):
        classes.build(node)
    monkeypatch.setenv("HARDNEG_TARGETS", "fractions.,other.")
    assert float(classes.build(node)) == 0.5


def test_a_prefix_is_a_whole_package_name():
    with pytest.raises(ConfigError, match="not allowed"):
        classes.check_target("x", {"_target_": "hardneg_evil.run"})


def test_a_built_object_holds_nothing_of_omegaconf():
    loss = classes.build(compose().loss.infonce)
    assert type(loss.weight) is float
    recipe = classes.build(OmegaConf.create(classes.plain(compose().encoder)))
    assert recipe.query.max_length == 64 and type(recipe.query).__name__ == "Side"
