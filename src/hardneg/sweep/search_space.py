"""What a search may choose from: Hydra's words for several values, as Optuna's distributions."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from hardneg.config.composition import parsed
from hardneg.errors import ConfigError


def space_of(words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Split the words into what is searched (key -> distribution) and those that are the same for all trials.

    As in Hydra's own plugin for Optuna: `a,b` and `choice(a, b)` are categories, `range(1, 9, 2)` has steps and, as
    everywhere in Hydra, leaves out its stop, `interval(0.1, 1)` is a range of numbers, `int(interval(1, 9))` of whole
    ones, and `tag(log, interval(...))` is searched by powers. A later word replaces an earlier one of the same key.
    Raises `ConfigError` for an empty range, for what Optuna refuses, and where nothing is to search.
    """
    searched: dict[str, Any] = {}
    same: dict[str, str] = {}
    for override in parsed(words):
        key = override.get_key_element()
        searched.pop(key, None)
        same.pop(key, None)
        if override.is_sweep_override():
            try:
                searched[key] = _distribution(override)
            except ValueError as error:  # as of steps, or of 0, in a search by powers
                raise ConfigError(f"{override.input_line}: {error}") from error
        else:
            same[key] = override.input_line or ""
    if not searched:
        raise ConfigError(
            "hydra/sweeper=optuna has nothing to search: give a key several values, as in"
            " 'optimizer.lr=tag(log, interval(0.001, 0.1))', or take hparams_search=static"
        )
    return searched, list(same.values())


def _distribution(override: Override) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value: Any = override.value()
    log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        start: Any = 0.0 if value.start is None else value.start  # 0 itself says that it is of whole numbers
        end: Any = 0.0 if value.end is None else value.end
        if isinstance(start, int) and isinstance(end, int):
            return IntDistribution(start, end, log=log)
        return FloatDistribution(start, end, log=log)
    if isinstance(value, RangeSweep):
        return _steps(override, value, log)
    if not isinstance(value, ChoiceSweep):
        raise ConfigError(f"{override.input_line}: a search takes choice(), range() and interval()")
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def _steps(override: Override, value: RangeSweep, log: bool) -> Any:
    """The values of a range, counted in the decimals as written: as binary fractions 0.3 three times is below 0.9."""
    from optuna.distributions import FloatDistribution, IntDistribution

    given = (value.start, value.stop, value.step)
    start, stop, step = (Decimal(str(number)) for number in given)
    if not step:
        raise ConfigError(f"{override.input_line}: the step is 0; write another one")
    count = math.ceil((stop - start) / step)  # without its stop
    if count < 1:
        raise ConfigError(f"{override.input_line}: the range is empty")
    low, high = sorted((start, start + (count - 1) * step))
    if all(isinstance(number, int) for number in given):
        return IntDistribution(int(low), int(high), step=int(abs(step)), log=log)
    return FloatDistribution(float(low), float(high), step=None if log else float(abs(step)), log=log)
