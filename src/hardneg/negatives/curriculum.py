"""A curriculum: which negatives, how hard and how sharply judged, from the beginning of training to its end."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int

from hardneg.errors import ConfigError
from hardneg.losses.base import Weighed
from hardneg.negatives.base import OfflineSource, OnlineSource
from hardneg.negatives.curriculum_pace import Number, Pace, Time

SHAPES = ("steps", "linear")


class Curriculum:
    """Moves shares, rank windows and temperatures over the training (curriculum learning, Bengio et al. 2009).

    Each quantity is a list of values, from the first to the last. `shape` says how one leads to the next: in `steps`
    (equal stages, or from the shares of the training in `at` on) or `linear` (from point to point, the inner points
    lying at `at`). `pace` says how fast: with time, or as a measurement allows.

    `share`: by offline source, its share of `slots`, the drawn documents of a row (null: the sum of these sources' k);
    what the shares leave stays empty. Between whole numbers a row rounds at random, so that the mean is exact. An
    online source is on (1) or off (0). `window`: by mined source, the [first, end) places of the kept list that are
    drawn from, in place of its pool. `temperature`: by loss. Sources and losses that are not named stay as they are.

    Raises `ConfigError` for another `shape`, no slots, and where nothing moves.
    """

    def __init__(
        self,
        share: Mapping[str, Sequence[Number]] | None = None,
        window: Mapping[str, Sequence[Sequence[int]]] | None = None,
        temperature: Mapping[str, Sequence[Number]] | None = None,
        slots: int | None = None,
        shape: str = "steps",
        at: Sequence[Number] | None = None,
        pace: Pace | None = None,
    ) -> None:
        if shape not in SHAPES:
            raise ConfigError(f"curriculum.shape must be one of {', '.join(SHAPES)}, got {shape!r}")
        if slots is not None and slots < 1:
            raise ConfigError(f"curriculum.slots must be 1 or more, got {slots}")
        self.share, self.window, self.temperature = dict(share or {}), dict(window or {}), dict(temperature or {})
        self.slots, self.shape, self.at = slots, shape, None if at is None else list(at)
        self.pace = Time() if pace is None else pace
        if not (self.share or self.window or self.temperature):
            raise ConfigError("the curriculum moves nothing; give curriculum.share, window or temperature")
        self._check_values()

    def _check_values(self) -> None:
        if self.at is not None and not (self.at == sorted(self.at) and all(0 < place < 1 for place in self.at)):
            raise ConfigError(f"curriculum.at must be rising shares of the training between 0 and 1, got {self.at}")
        for key, values in self._tracks():
            if not values:
                raise ConfigError(f"{key} is empty; give a value for each stage")
            expected = None if self.at is None else len(self.at) + (1 if self.shape == "steps" else 2)
            if expected not in (None, len(values)):
                raise ConfigError(f"{key} has {len(values)} values, but curriculum.at={self.at} asks for {expected}")
        for name, windows in self.window.items():
            if not all(len(pair) == 2 and 0 <= pair[0] < pair[1] for pair in windows):
                raise ConfigError(f"curriculum.window.{name} is a list of [first, end) with first < end, got {windows}")
        if any(value <= 0 for values in self.temperature.values() for value in values):
            raise ConfigError(f"curriculum.temperature must be positive, got {self.temperature}")
        if any(not 0 <= value <= 1 for values in self.share.values() for value in values):
            raise ConfigError(f"curriculum.share is a share, 0 to 1, got {self.share}")

    def _tracks(self) -> Iterable[tuple[str, Sequence[Any]]]:
        for group in ("share", "window", "temperature"):
            for name, values in getattr(self, group).items():
                yield f"curriculum.{group}.{name}", values

    def check(self, sources: Mapping[str, Any], losses: Mapping[str, Weighed]) -> None:
        """Raise `ConfigError` for names or numbers that do not fit the run's sources and losses."""
        for group, names, there in (
            ("share", self.share, list(sources)),
            ("window", self.window, [name for name, source in sources.items() if getattr(source, "depth", None)]),
            ("temperature", self.temperature, [name for name, loss in losses.items() if loss.has_temperature]),
        ):
            if unknown := sorted(set(names) - set(there)):
                raise ConfigError(
                    f"curriculum.{group} names {', '.join(unknown)}, but only {', '.join(there) or 'nothing'} of this"
                    " run has one; choose it, or leave the name out"
                )
        for name, windows in self.window.items():
            if (end := max(pair[1] for pair in windows)) > sources[name].depth:
                raise ConfigError(f"curriculum.window.{name} reaches {end}, beyond negatives.{name}.depth")
        self._check_shares(sources)

    def _check_shares(self, sources: Mapping[str, Any]) -> None:
        for name in set(self.share) & {name for name, one in sources.items() if isinstance(one, OnlineSource)}:
            if self.shape == "linear" or not set(self.share[name]) <= {0, 1}:
                raise ConfigError(f"curriculum.share.{name} must be 1 (on) or 0 (off), in steps: it offers all or none")
        for name in self.drawn(sources):
            copy.copy(sources[name]).resize(self.slots_of(sources))  # what it raises; the source itself stays
        for place in self._places():
            shares = self._shares(place)
            drawn = sum(shares.get(name, 0.0) for name in self.drawn(sources))
            if drawn > 1 + 1e-9:
                raise ConfigError(f"curriculum.share adds up to {drawn:g} at {place:.0%} of the training; at most 1")
            if all(shares.get(name, 1) == 0 for name in sources):
                raise ConfigError(f"curriculum.share leaves no source of negatives at {place:.0%} of the training")

    def check_read(self, sources: Collection[str], losses: Mapping[str, Weighed]) -> None:
        """Raise `ConfigError` for a part of the training in which no loss reads a source that has negatives."""
        for place, left in self.parts(sources):
            if not any(loss.learns_from(left) for loss in losses.values()):
                raise ConfigError(
                    f"curriculum.share leaves negatives=[{','.join(left)}] at {place:.0%} of the training, which"
                    f" loss=[{','.join(losses)}] does not read; leave a loss's sources at null, or add one that does"
                )

    def parts(self, sources: Collection[str]) -> list[tuple[float, list[str]]]:
        """Return a place in each part of the training that has shares of its own, and which sources are on there."""
        resting = {place: self.resting(place, sources) for place in self._within()}
        return [(place, [name for name in sources if name not in rest]) for place, rest in resting.items()]

    def drawn(self, sources: Mapping[str, Any]) -> list[str]:
        """The offline sources that share the slots, in the order of the run's sources."""
        return [name for name, one in sources.items() if name in self.share and isinstance(one, OfflineSource)]

    def slots_of(self, sources: Mapping[str, Any]) -> int:
        """How many slots the sources share: those of the config, or the sum of their `k`."""
        return sum(sources[name].k for name in self.drawn(sources)) if self.slots is None else self.slots

    def resize(self, sources: Mapping[str, Any]) -> None:
        """Let each source that shares the slots fill all of them; called before they are prepared."""
        self.slots = self.slots_of(sources)
        for name in self.drawn(sources):
            sources[name].resize(self.slots)

    def counts(
        self, names: Sequence[str], progress: float, rounding: Sequence[float]
    ) -> dict[str, Int[np.ndarray, " n"]]:
        """Return how many slots each of these sources gets in each row; the rest stay empty.

        A row's shares are rounded by its number in `rounding`, random and below 1.
        """
        shares = self._shares(progress)
        ends = np.cumsum([shares[name] for name in names]) * (self.slots or 0)
        whole = np.floor(np.round(ends, 9) + np.array(rounding)[:, None]).astype(int)
        return dict(zip(names, np.diff(whole, prepend=0).T, strict=True))

    def window_at(self, name: str, progress: float) -> tuple[int, int] | None:
        """Return the places of the kept list that a source draws from now; None where the curriculum sets none."""
        if name not in self.window:
            return None
        first, end = (round(self._value([pair[side] for pair in self.window[name]], progress)) for side in (0, 1))
        return first, end

    def skipped(self, name: str) -> int:
        """The places at the head of a source's list that its deepest window leaves out."""
        return max((int(pair[0]) for pair in self.window.get(name, ())), default=0)

    def temperatures(self, progress: float) -> dict[str, float]:
        """Return the temperature of each loss that has one here."""
        return {name: self._value(values, progress) for name, values in self.temperature.items()}

    def resting(self, progress: float, online: Iterable[str]) -> frozenset[str]:
        """Return which of these online sources are off now."""
        shares = self._shares(progress)
        return frozenset(name for name in online if shares.get(name, 1) == 0)

    def needs(self, name: str, first: int, end: int) -> bool:
        """Whether a batch from `first` to before `end` may draw from this source."""
        if name not in self.share or not self.pace.foreseeable:
            return True
        low, high = self.pace.progress(first), self.pace.progress(end - 1)
        places = [low, high, *(place for place in self._places() if low < place < high)]
        return any(self._shares(place)[name] > 0 for place in places)

    def numbers(self, progress: float) -> dict[str, float]:
        """Return everything that moves, as metrics."""
        moving = {"curriculum/progress": progress}
        moving |= {f"curriculum/share/{name}": value for name, value in self._shares(progress).items()}
        moving |= {f"curriculum/temperature/{name}": value for name, value in self.temperatures(progress).items()}
        for name in self.window:
            first, end = self.window_at(name, progress) or (0, 0)
            moving |= {f"curriculum/window/{name}/first": float(first), f"curriculum/window/{name}/end": float(end)}
        return moving

    def _shares(self, progress: float) -> dict[str, float]:
        return {name: self._value(values, progress) for name, values in self.share.items()}

    def _places(self) -> list[float]:
        """The places where any share changes its slope."""
        return sorted({float(place) for values in self.share.values() for place in self._points(len(values))})

    def _within(self) -> list[float]:
        """A place between every two of these and the end: what a share is at one moment alone does not count."""
        places = [*self._places(), 1.0]
        return [(low + high) / 2 for low, high in pairwise(places) if low < high]

    def _points(self, count: int) -> np.ndarray:
        if self.at is not None:
            return np.array([0.0, *self.at] if self.shape == "steps" else [0.0, *self.at, 1.0])
        return np.arange(count) / count if self.shape == "steps" else np.arange(count) / max(count - 1, 1)

    def _value(self, values: Sequence[Number], progress: float) -> float:
        points = self._points(len(values))
        if self.shape == "linear":
            return float(np.interp(progress, points, values))
        return float(values[int(np.searchsorted(points, progress, side="right")) - 1])
