"""Values of another kind than their key takes, as a word for a number, told before anything is made of them.

A word in the place of true or false would count as true: `switch=no` would switch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
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


def check_arguments(path: str, made: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for arguments that are not of the kind which the signature of what is made names.

    Looked at are annotations that are written as words, as our own modules have them, and made of numbers, true and
    false alone (`int | None`), or of one class (`Teacher | None`): which words it takes a class itself knows.
    """
    known = signature(made).parameters
    for key, value in given.items():
        kinds = _words_of(known[key].annotation) if key in known else set()
        if kinds and kinds <= SAID.keys():
            check_kind(f"{path}.{key}", value, kinds)
        elif isinstance(value, str | int | float | list) and _is_part(kinds - {NOTHING}, made):
            raise ConfigError(
                f"{path}.{key}={value!r} must be a part with settings of its own: take that setting away, and choose an"
                f" option of a group for it, as in +{key}@{path}.{key}=OPTION"
            )


def check_kind(key: str, value: Any, kinds: set[str], more: str = "", least: float = -math.inf) -> None:
    """Raise `ConfigError` for a value of none of these kinds, as {"float", "None"}, or below `least`.

    What is not a number (nan) is of no kind; `more` is said behind what the value must be.
    """
    if not kinds & set(_kinds_of(value)) or (value is not None and value < least):
        said = " or ".join(SAID[kind] for kind in SAID if kind in kinds)
        shown = "null" if value is None else repr(value)
        raise ConfigError(f"{key}={shown} must be {said}{more}")


def _words_of(annotation: Any) -> set[str]:
    """The words of an annotation that is one of several; none of an annotation that is no text."""
    return {part.strip() for part in annotation.split("|")} if isinstance(annotation, str) else set()


def _is_part(kinds: set[str], made: Callable[..., Any]) -> bool:
    """Whether this is the name of one class, of ours or of the package of what is made."""
    found = vars(sys.modules[made.__module__]).get(*kinds) if len(kinds) == 1 else None
    packages = ("hardneg", made.__module__.partition(".")[0])
    return isinstance(found, type) and found.__module__.partition(".")[0] in packages


def _kinds_of(value: Any) -> Iterator[str]:
    if value is None:
        yield NOTHING
    elif isinstance(value, bool):
        yield "bool"
    elif isinstance(value, int | float) and not math.isnan(value):
        yield "float"
        if isinstance(value, int):
            yield "int"
