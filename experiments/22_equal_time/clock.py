"""Seconds of the processor that count, the same on both sides, and what goes by them: the rate, looks at dev, the end.

They are those of this process, of all its threads. On a core that nothing else uses they are seconds of the wall.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

WARM_UP = 0.1  # share of the time of training: hardneg's default, and what sentence-transformers' examples take

Encode = Callable[[list[str], str], np.ndarray]  # (texts, "query" or "document") -> vectors


class Clock:
    """A budget of seconds, which pass within `counting()`, and from `go()` on."""

    def __init__(self, budget: float) -> None:
        self.budget, self.goes, self.passed, self.at = budget, False, 0.0, 0.0
        self.first: float | None = None  # what had passed after the first step

    @property
    def used(self) -> float:
        """How many seconds have passed."""
        return self.passed + (time.process_time() - self.at if self.goes else 0.0)

    def go(self, goes: bool = True) -> None:
        """Let seconds pass from now on, or not."""
        self.passed, self.at, self.goes = self.used, time.process_time(), goes

    @contextmanager
    def counting(self, goes: bool = True) -> Iterator[None]:
        """Let seconds pass meanwhile, or none."""
        before = self.goes
        self.go(goes)
        try:
            yield
        finally:
            self.go(before)

    def rate(self, *_: object) -> float:
        """Say by what the learning rate is multiplied now: it rises to 1, then falls to 0 at the end of the budget.

        It begins after the first step: what went before, such as mining, has none.
        """
        if self.first is None:
            return 0.0
        done = (self.used - self.first) / max(self.budget - self.first, 1e-9)
        return max(min(done / WARM_UP, (1 - done) / (1 - WARM_UP)), 0.0)


class Watch:
    """Hears of every step: looks at dev at shares of the budget, and says when it is used up."""

    def __init__(self, clock: Clock, look: Callable[[Encode, bool], float], shares: Sequence[float] = ()) -> None:
        self.clock, self.look, self.shares = clock, look, list(shares)
        self.steps, self.points = 0, list[tuple[float, float]]()

    def step(self, encoder: Callable[[], Encode]) -> bool:
        """Count a step that was made; return whether it was the last. `encoder` makes what encodes as of now."""
        self.steps += 1
        used = self.clock.used
        if self.clock.first is None:
            self.clock.first = used
        over = used >= self.clock.budget
        if over or (self.shares and used >= self.shares[0] * self.clock.budget):
            self.shares = [share for share in self.shares if share * self.clock.budget > used]
            with self.clock.counting(False):
                self.points.append((used, self.look(encoder(), over)))
        return over
