"""Hydra 1.3 and 1.4: the same config, the same objects, and no warning of what 1.4 will do without."""

from __future__ import annotations

import tomllib
import warnings
from contextlib import contextmanager
from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import hydra_plugins.hardneg as plugins
from hardneg.config import classes, composition
from hardneg.errors import ConfigError


def test_what_a_config_names_is_made_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        composition.register_resolvers()
        with initialize_config_module("hardneg.conf", version_base="1.3"):
            cfg = compose("train", ["data=toy", "encoder=static"])
        assert classes.build(cfg.data).queries


def test_hydras_whitelist_gives_way_to_ours_which_stays(monkeypatch):
    asked = []

    @contextmanager
    def execution_whitelist(allowed):
        asked.append(allowed)
        yield

    monkeypatch.setattr(hydra.utils, "execution_whitelist", execution_whitelist, raising=False)
    monkeypatch.setattr(hydra.utils, "UNSAFE_DISABLE_EXECUTION_CHECKS", "all", raising=False)
    assert classes.build({"_target_": "hardneg.filters.known_positives.KnownPositives"}) and asked == ["all"]
    with pytest.raises(ConfigError, match=r"os\.system"):
        classes.build({"_target_": "os.system", "command": "true"})
    assert asked == ["all"], "what is refused is not asked of Hydra"


def test_resolvers_are_registered_by_the_name_that_omegaconf_has_for_it(monkeypatch):
    named = []
    monkeypatch.setattr(OmegaConf, "register_resolver", lambda name, f, *, replace: named.append(name), raising=False)
    composition.register_resolvers()
    assert {"cache_folder", "identity", "stage"} <= set(named)


def test_the_plugins_are_entry_points_too():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    named = set(project["entry-points"]["hydra.plugins"].values())
    kinds = (plugins.Studies, plugins.Processes, plugins.Optuna, plugins.Race)
    assert named == {f"{kind.__module__}:{kind.__name__}" for kind in kinds}
