"""The shares of the models in a merge, known before any of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from hardneg.errors import ConfigError


def shares_of(count: int, weights: Sequence[float] | None, slerp: float | None) -> list[float]:
    """Return the share of each of the models; the shares sum to 1.

    `weights` are proportions, None weighs all alike; `slerp` is how far to go from the first of two to the second.
    Raises `ConfigError` for what is not a share.
    """
    if slerp is not None:
        if count != 2 or weights is not None:
            raise ConfigError(f"--slerp lies between two models, without --weights; there are {count}")
        if not 0 <= slerp <= 1:
            raise ConfigError(f"--slerp must be between 0 (the first model) and 1 (the second), got {slerp}")
        return [1 - slerp, slerp]
    weights = [1.0] * count if weights is None else weights
    if len(weights) != count:
        raise ConfigError(f"--weights gives {len(weights)} numbers for {count} models")
    if min(weights) < 0 or not 0 < sum(weights) < inf:  # NaN is not between them either
        raise ConfigError(
            f"--weights must be numbers that are not negative, and not all 0, got {' '.join(map(str, weights))}"
        )
    return [weight / sum(weights) for weight in weights]
