"""The callbacks that a config adds, made so that checks can look at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.callbacks import WeightAveraging

from hardneg.config import classes


def added_callbacks(node: dict[str, Any]) -> dict[str, Any]:
    """Make the callbacks that the config adds, by name."""
    return classes.build_group(node.get("callbacks"), "callbacks")


def averages(callbacks: Mapping[str, Any]) -> dict[str, WeightAveraging]:
    """Those that keep an average of the weights."""
    return {name: one for name, one in callbacks.items() if isinstance(one, WeightAveraging)}
