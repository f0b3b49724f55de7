"""Values of a wrong kind for their key, as a word for a number, refused before anything is made of them.

A word in place of true or false would count as true: `switch=no` would switch it on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from inspect import signature
from typing import Any

from hardneg.config.command_words import value_of
from hardneg.errors import ConfigError

NOTHING = "None"
VALUES = (Enum, str, int, float, tuple, list, dict)  # classes that may be made from a word, a number or a list
LARGEST_SEED = 2**32 - 1  # the largest that NumPy takes
# These check themselves, and better, which numbers they take; here they only have to be numbers.
EXACT = ("remine.", *(f"alarms.{key}" for key in ("kept", "queries_short", "recall", "bm25_queries", "random_cosine")))
EXACT += ("alarms.p", "alarms.idle", "alarms.above_positive")
OR_NULL = ("remine.every_n_epochs", *EXACT[1:])  # numbers that null switches off
SAID = {"bool": "true or false", "int": "a whole number", "float": "a number", NOTHING: "null"}


def check_settings(node: Mapping[str, Any], written: Mapping[str, Any], path: str = "") -> None:
    """Raise `ConfigError` for a setting that is no number, or not true or false, where its default is one.

    `written` holds the defaults of a command's yaml. Null may switch a number off, and counts as false. A node with a
    `_target_` is checked against its class by `check_arguments`.
    """
    for key, default in written.items():
        where = f"{path}{key}"
        if key not in node or where == "hydra":
            continue
        value = node[key]
        if isinstance(default, dict):
            if value is None and default and not path and "_target_" not in default:
                inner = f"{where}.{next(iter(default))}"
                raise ConfigError(f"{where}=null: a section cannot be null; set what is in it, as {inner}")
            if "_target_" not in default and isinstance(value, Mapping):
                check_settings(value, default, f"{where}.")
        elif value is None and where != "seed":
            continue
        elif isinstance(default, bool):
            check_kind(where, value, {"bool"})
        elif isinstance(default, int | float) and not (where.startswith(EXACT) and isinstance(value, int | float)):
            check_kind(where, value, {type(default).__name__, *([NOTHING] if where in OR_NULL else [])})
            if where == "seed" and value > LARGEST_SEED:
                raise ConfigError(f"seed={value} must be {LARGEST_SEED} or less, which is the largest that NumPy takes")


def check_bounds(node: Mapping[str, Any], written: Mapping[str, Any], path: str = "") -> None:
    """Raise `ConfigError` for a number below zero in the place of one of these defaults (see `check_settings`)."""
    for key, default in written.items():
        where, value = f"{path}{key}", node.get(key)
        if isinstance(default, dict) and "_target_" not in default and isinstance(value, Mapping) and where != "hydra":
            check_bounds(value, default, f"{where}.")
        elif not isinstance(default, int | float) or where.startswith(EXACT):
            continue
        elif isinstance(value, int | float) and value < 0:
            raise ConfigError(f"{where}={value} must be {SAID[type(default).__name__]}, 0 or more")


def check_arguments(path: str, made: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for arguments that are not of the kind in the signature of what is made.

    This looks at annotations that are strings, as in our own modules, and consist of numbers and bools (`int | None`)
    or of one class (`Teacher | None`): only a class knows which words it takes.
    """
    known = signature(made).parameters
    for key, value in given.items():
        kinds = _words_of(known[key].annotation) if key in known else set()
        if isinstance(value, Mapping) and "_target_" in value:  # what it makes is checked against its own class
            continue
        if kinds and known[key].default is None:
            kinds.add(NOTHING)
        if kinds and kinds <= SAID.keys():
            check_kind(f"{path}.{key}", value, kinds)
        elif isinstance(value, str | int | float | list) and _is_part(kinds - {NOTHING}, made):
            raise ConfigError(
                f"{path}.{key}={value!r} must be a part with settings of its own: remove that setting, and choose an"
                f" option of a group for it, as in +{key}@{path}.{key}=OPTION"
            )


def check_kind(key: str, value: Any, kinds: set[str]) -> None:
    """Raise `ConfigError` for a value of none of these kinds, as {"float", "None"}; 0 and 1 are a bool too.

    NaN is of no kind.
    """
    if not kinds & set(_kinds_of(value)):
        said = " or ".join(SAID[kind] for kind in SAID if kind in kinds)
        shown = "null" if value is None else repr(value)
        raise ConfigError(f"{key}={shown} must be {said}{_mend(value)}")


def _mend(value: Any) -> str:
    """How to write a value that looks like one of the right kind; empty where it does not."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_SEED:
        return f"; write {int(value)}"
    if isinstance(value, str) and {"bool", "float"} & set(_kinds_of(value_of(value))):
        return (
            ", and this is text: write it without quotes, or wrap what the environment gives in oc.decode, as in"
            " ${oc.decode:${oc.env:NAME}}"
        )
    return ""


def _words_of(annotation: Any) -> set[str]:
    """The alternatives of an annotation; none for one that is not a string."""
    return {part.strip() for part in annotation.split("|")} if isinstance(annotation, str) else set()


def _is_part(kinds: set[str], made: Callable[..., Any]) -> bool:
    """Whether this names a single class, of ours or of the package of what is made."""
    found = vars(sys.modules[made.__module__]).get(*kinds) if len(kinds) == 1 else None
    packages = ("hardneg", made.__module__.partition(".")[0])
    if not isinstance(found, type) or issubclass(found, VALUES):
        return False
    return found.__module__.partition(".")[0] in packages


def _kinds_of(value: Any) -> Iterator[str]:
    if value is None:
        yield NOTHING
    elif isinstance(value, bool):
        yield "bool"
    elif isinstance(value, int | float) and not math.isnan(value):
        yield "float"
        if isinstance(value, int):
            yield "int"
            if value in (0, 1):
                yield "bool"
