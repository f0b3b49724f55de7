"""Whole numbers out of their range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hardneg.data.workers import AUTO
from hardneg.errors import ConfigError


def check_ranges(node: dict[str, Any], autos: Sequence[str]) -> None:
    """Raise `ConfigError` for numbers out of range; the `auto` of the keys `autos` is settled when the run begins."""
    for key, least in {"batch_size": 1, "positives": 1, "seed": 0, "num_workers": 0}.items():
        if key in autos and node[key] == AUTO:
            continue
        if not isinstance(node[key], int) or isinstance(node[key], bool) or node[key] < least:
            word = ", or auto" if key in autos else ""
            raise ConfigError(f"{key}={node[key]!r} must be a whole number, {least} or more{word}")


def check_remine(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for settings of `remine` that cannot work."""
    for key, least in {"warmup_epochs": 0, "every_n_epochs": 1, "every_n_steps": 1, "keep_last": 2}.items():
        value = node[key]
        if value is None and key != "warmup_epochs":
            continue
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"remine.{key}={value!r} must be a whole number, {least} or more")
