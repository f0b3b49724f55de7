"""A value of another kind than its key takes is told by its key; a word never counts as true."""

from __future__ import annotations

import pytest

from hardneg.config.classes import check_target
from hardneg.config.composition import check_keys
from hardneg.config.value_kinds import check_arguments
from hardneg.errors import ConfigError


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
        ({"on": 1}, "part.on=1 must be true or false"),
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
        ("index", {"shard": -1}, "shard=-1 must be a whole number, 0 or more"),
        ("index", {"keep": "all"}, "keep='all' must be a whole number"),
        ("train", {"evaluate": {"before": "off"}}, "evaluate.before='off' must be true or false"),
        ("train", {"checkpoint": {"every_n_steps": 1.5}}, "checkpoint.every_n_steps=1.5 must be a whole number"),
        ("train", {"alarms": {"p": "small"}}, "alarms.p='small' must be a number"),
        ("train", {"seed": 2**32}, "seed=4294967296 must be 4294967295 or less"),
        ("mine", {"seed": None}, "seed=null must be a whole number"),
        ("probe", {"share": float("nan")}, "share=nan must be a number"),
    ],
)
def test_settings_of_a_command_are_of_the_kind_of_their_default(command, settings, says):
    with pytest.raises(ConfigError, match=f"^{says}"):
        check_keys(settings, command)


def test_settings_that_fit_pass_and_null_switches_off():
    check_keys({"alarms": {"p": None, "samples": 3}, "evaluate": {"before": False, "depth": 7}, "seed": 0}, "train")
