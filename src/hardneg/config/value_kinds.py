"""Values of another kind than their key takes, as a word for a number, told before anything is made of them.

A word in the place of true or false would count as true: `switch=no` would switch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from inspect import Signature
from typing import Any

from hardneg.errors import ConfigError

NOTHING = "None"
LARGEST_SEED = 2**32 - 1  # that NumPy takes
SAID = {"bool": "true or false", "int": "a whole number", "float": "a number", NOTHING: "null"}


def check_settings(node: Mapping[str, Any], written: Mapping[str, Any], path: str = "") -> None:
    """Raise `ConfigError` for a setting whose default is a number, true or false, and which is none or below zero.

    `written` holds the defaults of a command's yaml; null is what switches a number off. What holds a `_target_` is
    held to its class by `check_arguments`.
    """
    for key, default in written.items():
        where = f"{path}{key}"
        if key not in node or where == "hydra":
            continue
        value = node[key]
        if isinstance(default, dict):
            if "_target_" not in default and isinstance(value, Mapping):
                check_settings(value, default, f"{where}.")
        elif isinstance(default, bool):
            check_kind(where, value, {"bool"})
        elif isinstance(default, int | float) and (value is not None or where == "seed"):
            check_kind(where, value, {type(default).__name__}, ", 0 or more", least=0.0)
            if where == "seed" and value > LARGEST_SEED:
                raise ConfigError(f"seed={value} must be {LARGEST_SEED} or less, which is the largest that NumPy takes")


def check_arguments(path: str, signature: Signature, given: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for arguments that are not of the plain kind which the signature names.

    Only kinds that are written as words (`int | None`, as our own modules have them) and made of numbers, true and
    false alone are looked at: a class itself knows which words it takes.
    """
    for key, value in given.items():
        if key in signature.parameters and (kinds := _plain_kinds(signature.parameters[key].annotation)):
            check_kind(f"{path}.{key}", value, kinds)


def check_kind(key: str, value: Any, kinds: set[str], more: str = "", least: float = -math.inf) -> None:
    """Raise `ConfigError` for a value of none of these kinds, as {"float", "None"}, or below `least`.

    What is not a number (nan) is of no kind; `more` is said behind what the value must be.
    """
    if not kinds & set(_kinds_of(value)) or (value is not None and value < least):
        said = " or ".join(SAID[kind] for kind in SAID if kind in kinds)
        shown = "null" if value is None else repr(value)
        raise ConfigError(f"{key}={shown} must be {said}{more}")


def _plain_kinds(annotation: Any) -> set[str]:
    """The kinds that an annotation names; none where it names anything else too."""
    kinds = {part.strip() for part in annotation.split("|")} if isinstance(annotation, str) else set()
    return kinds if kinds <= SAID.keys() else set()


def _kinds_of(value: Any) -> Iterator[str]:
    if value is None:
        yield NOTHING
    elif isinstance(value, bool):
        yield "bool"
    elif isinstance(value, int | float) and not math.isnan(value):
        yield "float"
        if isinstance(value, int):
            yield "int"
