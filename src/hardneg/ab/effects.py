"""The difference NEW - OLD, paired by query, over all queries or over some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from hardneg.compare import statistics
from hardneg.compare.statistics import Difference


@dataclass(frozen=True)
class Effect:
    """A metric on some queries: both means, their difference, and queries won, tied and lost by NEW."""

    name: str
    queries: int
    old: float
    new: float
    difference: Difference
    wins: tuple[int, int, int]

    @property
    def low(self) -> float:
        """The lower end of the 95% interval."""
        return self.difference.interval()[0]

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.difference.interval()[1]

    @property
    def in_words(self) -> str:
        """The difference with its interval, as in `+0.0120 [-0.0010, +0.0250]`."""
        return f"{self.difference.mean:+z.4f} [{self.low:+z.4f}, {self.high:+z.4f}]"


@dataclass(frozen=True)
class Pairing:
    """How queries are weighed and counted: `weights` are 1 on average; queries of one cluster are one draw."""

    weights: Float[np.ndarray, " Q"]
    clusters: Int[np.ndarray, " Q"] | None
    tie: float

    def effect(
        self,
        name: str,
        old: Float[np.ndarray, " Q"],
        new: Float[np.ndarray, " Q"],
        here: Bool[np.ndarray, " Q"] | None = None,
    ) -> Effect:
        """Test the mean of NEW - OLD over the queries `here` (null: all), with queries or clusters random.

        There is one run of each, so the interval is about other queries, not other seeds.
        """
        here = np.ones(len(old), bool) if here is None else here
        weights = self.weights[here] / self.weights[here].mean()
        d = (new - old)[here]
        columns = (weights * d)[None]
        if self.clusters is not None:
            columns = statistics.by_cluster(columns, self.clusters[here])
        before, after = (float((weights * values[here]).mean()) for values in (old, new))
        wins = statistics.wins(d[None], self.tie)
        return Effect(name, int(here.sum()), before, after, statistics.crossed(columns), wins)
