"""Keyword arguments as words of the command line, so that both ways start the same run."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hardneg.config.command_words import MULTI_SELECT, as_value
from hardneg.errors import ConfigError


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """Turn settings into words: `encoder="static"`, `trainer={"max_epochs": 2}`, `negatives={"bm25": {"k": 2}}`.

    A dictionary holds settings below a key; of a group that takes several options it names these, each with its own.
    Raises `ConfigError` for a value that a config cannot hold.
    """
    chosen: list[str] = []
    below: list[str] = []
    for key, value in settings.items():
        if key in MULTI_SELECT and isinstance(value, Mapping):
            chosen.append(f"{key}={_value(list(value), key)}")
            value = {name: inner for name, inner in value.items() if inner is not None}
            if wrong := [name for name, inner in value.items() if not isinstance(inner, Mapping)]:
                raise ConfigError(f"{key}[{wrong[0]!r}] is {value[wrong[0]]!r}; write its settings as a dictionary")
        if isinstance(value, Mapping) and "." not in key:
            below += _below(value, key, 2 if key in MULTI_SELECT else 1)
        else:
            (below if "." in key else chosen).append(f"{key}={_value(value, key)}")
    return chosen + below  # a group's option must be chosen before its settings


def _below(node: Mapping[Any, Any], key: str, levels: int) -> Iterator[str]:
    """A word for each setting; what lies deeper stays one value, which a config takes in whole or as a part."""
    for name, value in node.items():
        if isinstance(value, Mapping) and levels > 1:
            yield from _below(value, f"{key}.{name}", levels - 1)
        else:
            yield f"{key}.{name}={_value(value, f'{key}.{name}')}"


def _value(value: Any, key: str) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str | os.PathLike):
        return as_value(os.fspath(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(_value(one, key) for one in value)}]"
    if isinstance(value, Mapping):
        if odd := [name for name in value if not re.fullmatch(r"[\w.-]+", str(name), re.ASCII)]:
            raise ConfigError(f"{key}: {odd[0]!r} cannot be a key of a config")
        return f"{{{','.join(f'{name}: {_value(one, key)}' for name, one in value.items())}}}"
    if hasattr(value, "item") and not getattr(value, "shape", ()):  # a number of numpy's or torch's
        return _value(value.item(), key)
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else str(value)
    if callable(value):
        own = getattr(value, "__name__", type(value).__name__)
        raise ConfigError(
            f"{key}: a run's config cannot hold the function {own}. Put it into a file, such as mypackage/metrics.py,"
            f" and name it, {{'_target_': 'mypackage.metrics.{own}'}}, with HARDNEG_TARGETS=mypackage. in the"
            " environment; for a metric, run.evaluate(metrics=[...]) takes the function itself"
        )
    raise ConfigError(f"{key} is a {type(value).__name__}; a config holds text, numbers, lists and dictionaries")
