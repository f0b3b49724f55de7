"""Who sets a loss's temperature: the loss itself, a curriculum or a warm-up, but only one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hardneg.errors import ConfigError
from hardneg.preflight.added_callbacks import added_callbacks
from hardneg.training.callbacks.temperature_warmup import TemperatureWarmup


def check_temperatures(node: dict[str, Any], losses: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a warm-up of losses that cannot have one, or that a curriculum moves too."""
    moved = set((node["curriculum"] or {}).get("temperature") or {})
    for one in added_callbacks(node).values():
        if isinstance(one, TemperatureWarmup) and (both := sorted(moved & set(one.chosen(losses)))):
            raise ConfigError(
                f"curriculum.temperature.{both[0]} and callbacks.temperature_warmup both set the temperature of"
                f" loss.{both[0]}; leave one of them out, or name other losses in callbacks.temperature_warmup.losses"
            )
