"""Which callbacks that average weights work here, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging

from hardneg.errors import ConfigError
from hardneg.negatives.base import OnlineSource
from hardneg.preflight.made import Made
from hardneg.training.callbacks.moving_average import MovingAverage

TAKE_OURS = "take callbacks=[ema]"


def averages(callbacks: Mapping[str, Any]) -> dict[str, WeightAveraging]:
    """Return the callbacks that keep an average of the weights."""
    return {name: one for name, one in callbacks.items() if isinstance(one, WeightAveraging)}


def check_averaging(made: Made) -> None:
    """Raise `ConfigError` for averaged weights that a run would not be judged by, or that would be wrong."""
    for name, callback in made.callbacks.items():
        if isinstance(callback, StochasticWeightAveraging):
            raise ConfigError(
                f"callbacks.{name} (StochasticWeightAveraging) gives the model its average only after the last"
                f" checkpoint is written, so that it would be neither evaluated nor saved; {TAKE_OURS}, or for the"
                " plain mean of all steps a _target_ of lightning.pytorch.callbacks.WeightAveraging"
            )
    averaging = averages(made.callbacks)
    if len(averaging) > 1:
        raise ConfigError(f"callbacks={','.join(averaging)} keep an average each, and a run ends with one; choose one")
    for name, callback in averaging.items():
        if isinstance(callback, MovingAverage):
            continue
        # Lightning's callbacks average all that a module holds.
        holding = [
            key for key, source in made.sources.items() if isinstance(source, OnlineSource) and source.state_dict()
        ]
        if holding:
            raise ConfigError(
                f"callbacks.{name} ({type(callback).__name__}) would average what negatives={','.join(holding)} holds,"
                f" document ids too; {TAKE_OURS}"
            )
        if (made.node.get("encoder") or {}).get("freeze") is not None:
            raise ConfigError(
                f"callbacks.{name} ({type(callback).__name__}) averages weights that encoder.freeze keeps, too, and"
                f" rounding moves them; {TAKE_OURS}"
            )
