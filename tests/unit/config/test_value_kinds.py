"""A value of another kind than its key takes is told by its key; a word never counts as true."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import pytest

from hardneg.config.classes import check_target
from hardneg.config.composition import check_keys, check_numbers
from hardneg.config.value_kinds import check_arguments
from hardneg.errors import ConfigError
from hardneg.mining.alarm_rules import Thresholds
from hardneg.preflight.ranges import check_remine

REMINE = {"warmup_epochs": 0, "every_n_epochs": 1, "every_n_steps": None, "keep_last": None}


class Other:
    """A part of a part."""


class Part:
    """What a config might make."""

    def __init__(
        self,
        k: int,
        share: float | None = None,
        on: bool = True,
        name: int | str = "auto",
        free=None,
        part: Other | None = None,
    ) -> None:
        """Take what it is given."""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"k": 1.0}, "part.k=1.0 must be a whole number"),
        ({"k": True}, "part.k=True must be a whole number"),
        ({"k": None}, "part.k=null must be a whole number"),
        ({"k": []}, r"part.k=\[\] must be a whole number"),
        ({"share": "half"}, "part.share='half' must be a number or null"),
        ({"share": float("nan")}, "part.share=nan must be a number or null"),
        ({"on": "no"}, "part.on='no' must be true or false"),
        ({"on": 2}, "part.on=2 must be true or false"),
        ({"k": 4.0}, "part.k=4.0 must be a whole number; write 4$"),
        ({"k": "7"}, "part.k='7' must be a whole number, and this is text: .* oc.decode"),
        ({"k": "007"}, "part.k='007' must be a whole number$"),  # text for Hydra without quotes too
        ({"k": "infinity"}, "part.k='infinity' must be a whole number$"),
        ({"k": "[7"}, r"part.k='\[7' must be a whole number$"),
        ({"part": "minilm"}, "part.part='minilm' must be a part .* as in \\+part@part.part=OPTION"),
        ({"part": []}, r"part.part=\[\] must be a part with settings of its own"),
    ],
)
def test_arguments_are_of_the_kind_that_the_class_names(given, says):
    with pytest.raises(ConfigError, match=f"^{says}"):
        check_arguments("part", Part, given)


def test_arguments_that_fit_pass_and_what_a_class_alone_can_judge():
    for given in (
        {"k": 3, "share": 1, "on": False},
        {"share": float("inf")},
        {"name": 1.5, "free": "word", "share": None},
    ):
        check_arguments("part", Part, given)


def test_a_part_is_held_to_its_class():
    with pytest.raises(ConfigError, match=r"^encoder.dim=1e\+30 must be a whole number$"):
        check_target("encoder", {"_target_": "hardneg.encoders.static.Static", "dim": 1e30})


@pytest.mark.parametrize(
    ("command", "settings", "says"),
    [
        ("index", {"switch": "no"}, "switch='no' must be true or false"),
        ("train", {"seed": 1e3}, "seed=1000.0 must be a whole number; write 1000$"),
        ("train", {"alarms": None}, "alarms=null: a section cannot be null; set what is in it, as alarms.kept"),
        ("train", {"remine": None}, "remine=null: a section cannot be null"),
        ("evaluate", {"evaluate": None}, "evaluate=null: a section cannot be null"),
        ("index", {"keep": "all"}, "keep='all' must be a whole number"),
        ("train", {"evaluate": {"before": "off"}}, "evaluate.before='off' must be true or false"),
        ("train", {"checkpoint": {"every_n_steps": 1.5}}, "checkpoint.every_n_steps=1.5 must be a whole number"),
        ("train", {"alarms": {"p": "small"}}, "alarms.p='small' must be a number or null$"),
        ("train", {"seed": 2**32}, "seed=4294967296 must be 4294967295 or less"),
        ("mine", {"seed": None}, "seed=null must be a whole number"),
        ("probe", {"share": float("nan")}, "share=nan must be a number"),
    ],
)
def test_settings_of_a_command_are_of_the_kind_of_their_default(command, settings, says):
    with pytest.raises(ConfigError, match=f"^{says}"):
        check_keys(settings, command)


@pytest.mark.parametrize(
    ("command", "settings", "says"),
    [
        ("index", {"shard": -1}, "shard=-1 must be a whole number, 0 or more"),
        ("train", {"alarms": {"samples": -2}}, "alarms.samples=-2 must be a whole number, 0 or more"),
        ("train", {"evaluate": {"subset": {"size": -1}}}, "evaluate.subset.size=-1 must be a whole number, 0 or more"),
    ],
)
def test_numbers_are_not_below_zero(command, settings, says):
    check_keys(settings, command)
    with pytest.raises(ConfigError, match=f"^{says}$"):
        check_numbers(settings, command)


@pytest.mark.parametrize("value", [float("inf"), False, -1, 0])
def test_what_says_better_itself_which_numbers_it_takes_is_left_to_do_so(value):
    settings = {"remine": {"every_n_epochs": value}, "alarms": {"kept": value}}
    check_keys(settings, "train")
    check_numbers(settings, "train")
    with pytest.raises(ConfigError, match="whole number, 1 or more"):
        check_remine({**REMINE, "every_n_epochs": value})
    with pytest.raises(ConfigError, match="a share between 0 and 1 or null"):
        Thresholds(kept=float(value))


class Pool(StrEnum):
    """A word of a part's own."""

    MEAN = "mean"


class Window(NamedTuple):
    """A pair of numbers."""

    first: int
    last: int


class Name(str):
    """A text of a part's own."""


class Free:
    """A part with values of its own classes."""

    def __init__(
        self,
        k: int = None,  # noqa: RUF013  as some write it
        pool: Pool = Pool.MEAN,
        window: Window | None = None,
        name: Name = "",
        width: float = 1.0,
        on: bool = True,
    ) -> None:
        """Take what it is given."""


def test_values_that_a_parts_own_class_is_made_of_pass():
    for given in (
        {"k": None, "pool": "mean", "window": [1, 2], "name": "word", "on": 1},
        {"width": {"_target_": "mypackage.width"}, "on": 0},
    ):
        check_arguments("part", Free, given)


def test_settings_that_fit_pass_and_null_switches_off():
    check_keys({"evaluate": {"before": 0, "subset": None}, "remine": {"every_n_epochs": None}}, "train")
    check_keys({"evaluate": {"before": None}}, "train")
    check_keys({"alarms": {"p": None, "samples": 3}, "evaluate": {"before": False, "depth": 7}, "seed": 0}, "train")
