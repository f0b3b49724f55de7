"""Who sets a loss's temperature: the loss itself, a curriculum or a warm-up, but only one of them."""

from __future__ import annotations

from hardneg.errors import ConfigError
from hardneg.preflight.made import Made
from hardneg.training.callbacks.temperature_warmup import TemperatureWarmup


def check_temperatures(made: Made) -> None:
    """Raise `ConfigError` for a warm-up of losses that cannot have one, or that a curriculum moves too."""
    moved = set() if made.curriculum is None else set(made.curriculum.temperature)
    for one in made.callbacks.values():
        if isinstance(one, TemperatureWarmup) and (both := sorted(moved & set(one.chosen(made.losses)))):
            raise ConfigError(
                f"curriculum.temperature.{both[0]} and callbacks.temperature_warmup both set the temperature of"
                f" loss.{both[0]}; leave one of them out, or name other losses in callbacks.temperature_warmup.losses"
            )
