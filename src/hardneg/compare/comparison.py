"""What a comparison asks and finds: the plan, a row for every arm, and what may be concluded from its difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hardneg.compare.statistics import ALPHA, LEAST_FREEDOM, Difference


@dataclass(frozen=True)
class ComparisonPlan:
    """What is asked, decided before looking: the metric, the baseline, the primary arms, the margin that matters.

    `primary` empty: all arms. `margin` is the smallest difference of interest (SESOI); without one, equivalence is not
    tested, and power is given for `target`. `clusters` numbers the test queries, in the order of their sorted ids.
    """

    metric: str
    baseline: str | None = None
    primary: Sequence[str] = ()
    margin: float | None = None
    tie: float = 0.01
    clusters: np.ndarray | None = None

    @property
    def target(self) -> float:
        """The difference that the design should resolve: the margin, or one point."""
        return self.margin or 0.01


@dataclass(frozen=True)
class Contrast:
    """An arm against the baseline; `p_holm`, and with a margin the other two, are corrected where it is primary."""

    difference: Difference
    primary: bool
    p_holm: float | None = None
    p_not_worse: float | None = None
    p_equivalent: float | None = None
    dz: float | None = None
    wins: tuple[int, int, int] | None = None

    @property
    def tested(self) -> bool:
        """Whether there is enough to test: with two arms and two seeds, one number alone tells how much seeds vary."""
        return self.difference.seeds == 1 or self.difference.seed_freedom >= LEAST_FREEDOM

    @property
    def p(self) -> float:
        """The p-value that decides: corrected for primary contrasts; 1 where nothing can be tested."""
        if not self.tested:
            return 1.0
        return self.difference.p if self.p_holm is None else self.p_holm

    @property
    def verdict(self) -> str:
        """The conclusion at 5%: that no difference was found is no evidence that there is none."""
        if not self.tested:
            return "none (too few seeds)"
        said = []
        if self.p < ALPHA:
            said.append("better" if self.difference.mean > 0 else "worse")
        if self.p_equivalent is not None and self.p_equivalent < ALPHA:
            said.append("equivalent")
        elif self.p_not_worse is not None and self.p_not_worse < ALPHA and "better" not in said:
            said.append("not worse")
        words = ", ".join(said) or "open"
        return (
            f"{words} ({'this seed only' if self.difference.seeds == 1 else 'exploratory'})" if self._hedged else words
        )

    @property
    def _hedged(self) -> bool:
        return self.difference.seeds == 1 or not self.primary


@dataclass(frozen=True)
class ArmRow:
    """One arm: its seeds, mean and standard deviation between seeds; `contrast` is None for the baseline."""

    arm: str
    seeds: tuple[int, ...]
    mean: float
    spread: float
    contrast: Contrast | None


@dataclass(frozen=True)
class Comparison:
    """One table: the arms on one data set in one metric, best first, and the notes that belong to it."""

    data: str
    plan: ComparisonPlan
    baseline: str
    rows: list[ArmRow]
    sets: int  # how many test sets the metric is the mean of; 0: it is of one
    notes: list[str] = field(default_factory=list)

    @property
    def contrasts(self) -> dict[str, Contrast]:
        """By arm."""
        return {row.arm: row.contrast for row in self.rows if row.contrast is not None}

    def alpha(self, contrast: Contrast) -> float:
        """The p-value that one of the contrasts has to reach, a primary one in the worst case of Holm's correction."""
        return ALPHA / sum(one.primary for one in self.contrasts.values()) if contrast.primary else ALPHA
