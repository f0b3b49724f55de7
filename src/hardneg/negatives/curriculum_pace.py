"""How fast a curriculum advances: with time, or as a measurement allows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from hardneg.errors import ConfigError

Number = float | int  # as a yaml has it


class Pace(ABC):
    """Tells how far a curriculum has come (0 to 1) at a batch of the run.

    Lives in the dataset too, so it must be picklable. `version` changes when batches already fetched ahead would be
    drawn otherwise. `foreseeable`: whether the progress of every batch is known from the start.
    """

    version: int = 0
    foreseeable: bool = False
    total: int = 0

    def plan(self, total: int) -> None:
        """Take in how many batches the run will have; called before the first."""
        self.total = total

    @abstractmethod
    def progress(self, batch: int) -> float:
        """Return the progress at this batch of the run, counted from 0 over all epochs."""

    def watch(self, metrics: Mapping[str, float], step: int) -> None:  # noqa: B027  (time needs no measurement)
        """Look at what was logged after optimiser step `step`, the same on every rank."""

    @property
    def watched(self) -> tuple[str, ...]:
        """The metrics that `watch` reads."""
        return ()

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as plain values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore what `state` returned."""


class Time(Pace):
    """Advances with the share of the run's batches that are done.

    `shuffled` hands out the same values in random order: every batch gets the progress of another one, each exactly
    once. It is the control for "does the order matter", with nothing else changed (CL-DRD, arXiv:2204.13679, has none).
    """

    def __init__(self, shuffled: bool = False, seed: int = 0) -> None:
        self.shuffled, self.seed = shuffled, seed
        self.foreseeable = not shuffled
        self._order: np.ndarray | None = None

    def plan(self, total: int) -> None:
        """Shuffle, if asked."""
        super().plan(total)
        if self.shuffled:
            self._order = np.random.default_rng((self.seed, total)).permutation(total)

    def progress(self, batch: int) -> float:
        """Return the share of the batches that came before."""
        if batch >= self.total:
            return 1.0
        return float(batch if self._order is None else self._order[batch]) / self.total


class Measured(Pace):
    """Advances whenever the mean of `metrics` over `every_n_steps` optimiser steps is `below` or `above` a bound.

    Each time the progress rises by one of `rises` equal parts. Metrics are those in metrics.csv, such as
    `negatives/bm25/loss` (these negatives have been learnt) or `mining/mined/kept` (the lists are clean enough);
    of several the mean of those that are known counts. As with self-paced learning (Kumar et al., NeurIPS 2010), the
    model decides when it is ready for harder ones.

    Raises `ConfigError` for no metric, both bounds or none, and numbers below 1.
    """

    def __init__(
        self,
        metrics: list[str],
        below: Number | None = None,
        above: Number | None = None,
        every_n_steps: int = 50,
        rises: int = 3,
    ) -> None:
        if not metrics:
            raise ConfigError("curriculum.pace.metrics names nothing to measure, as in [negatives/bm25/loss]")
        if (below is None) == (above is None):
            raise ConfigError("curriculum.pace takes one bound, either below or above")
        if every_n_steps < 1 or rises < 1:
            raise ConfigError(f"every_n_steps and rises must be 1 or more, got {every_n_steps} and {rises}")
        self.metrics, self.below, self.above = list(metrics), below, above
        self.every_n_steps, self.rises = every_n_steps, rises
        self.risen, self.since = 0, 0
        self.seen: list[float] = []

    def progress(self, batch: int) -> float:
        """Return the share of the rises so far."""
        return self.risen / self.rises

    @property
    def watched(self) -> tuple[str, ...]:
        """The metrics that decide."""
        return tuple(self.metrics)

    def watch(self, metrics: Mapping[str, float], step: int) -> None:
        """Collect, and decide when the steps are up."""
        known = [value for name in self.metrics if not math.isnan(value := metrics.get(name, math.nan))]
        if known:
            self.seen.append(float(np.mean(known)))
        if step - self.since < self.every_n_steps:
            return
        mean = float(np.mean(self.seen)) if self.seen else math.nan
        # One of the two bounds is not set; NaN, nothing measured, is neither below nor above.
        reached = (self.below is not None and mean <= self.below) or (self.above is not None and mean >= self.above)
        if reached and self.risen < self.rises:
            self.risen, self.version = self.risen + 1, self.version + 1
        self.since, self.seen = step, []

    def state(self) -> dict[str, Any]:
        """The rises so far, and the measurement under way."""
        return {"risen": self.risen, "since": self.since, "seen": list(self.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self.risen, self.since, self.seen = state["risen"], state["since"], list(state["seen"])
