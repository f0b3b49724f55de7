"""Hydra 1.3 and 1.4: the same config, the same objects, and no warning of what 1.4 will do without."""

from __future__ import annotations

import tomllib
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import hydra_plugins.hardneg as plugins
from hardneg.config import classes, composition
from hardneg.errors import ConfigError
from hardneg.filters.known_positives import KnownPositives


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
    with classes.hydras_own_whitelist_off():
        assert asked == ["all"]
    assert classes.build({"_target_": "hardneg.filters.known_positives.KnownPositives"})
    with pytest.raises(ConfigError, match=r"os\.system"):
        classes.build({"_target_": "os.system", "command": "true"})
    assert asked == ["all"], "what we make or refuse is not asked of Hydra"


def same(one, other):
    if isinstance(one, partial):
        return same([one.func, one.args, one.keywords], [other.func, other.args, other.keywords])
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and (one == other or vars(one) == vars(other))


def hold(*args, **kwargs):
    """What a target is called with."""
    return args, kwargs


HOLD = f"{__name__}.hold"
FRACTION = {"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}


@pytest.mark.parametrize(
    "node",
    [
        FRACTION,
        {"_target_": HOLD, "a": FRACTION, "b": [FRACTION, {"c": FRACTION, "d": None}], "e": (1, "x", 2.5)},
        {"_target_": HOLD, "a": FRACTION, "b": [FRACTION], "_recursive_": False},
        {"_target_": HOLD, "a": {"_target_": HOLD, "f": FRACTION, "_recursive_": False}},
        {"_target_": HOLD, "a": {"f": FRACTION, "_recursive_": False}},
        {"_target_": HOLD, "a": {**FRACTION, "_partial_": True}, "_convert_": "none"},
        {"_target_": "fractions.Fraction", "_args_": [3, 4]},
        {"_target_": HOLD, "_args_": [[["x", FRACTION]]], "_partial_": True, "y": {"z": 1}},
        {"a": FRACTION, "b": [1, {"c": FRACTION}]},
        [FRACTION, {"a": FRACTION}],
        [],
        None,
    ],
)
def test_what_is_made_is_what_hydra_makes(node, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", f"fractions.,{__name__}.")
    assert same(classes.build(node), hydra.utils.instantiate(node, _convert_="all") if node else node)


def test_objects_are_handed_on_as_they_are(monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", f"{__name__}.")
    kept = [KnownPositives()]
    args, kwargs = classes.build({"_target_": HOLD, "a": 1, "b": 2}, a=kept, c={"_target_": "x"})
    assert args == () and kwargs == {"a": kept, "b": 2, "c": {"_target_": "x"}} and kwargs["a"] is kept


def test_what_fails_in_a_call_is_told_with_the_target(monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "fractions.")
    with pytest.raises(ConfigError, match=r"Error in call to target 'fractions.Fraction':\nZeroDivisionError"):
        classes.build({**FRACTION, "denominator": 0})
    with pytest.raises(ConfigError, match=r"^a source needs k >= 1"):
        classes.build({"_target_": "hardneg.negatives.random.Random", "k": 0})


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
