"""Which arms of a race go on, by paired tests over dev queries; which is taken, and whether it is named the winner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy import stats

from hardneg.compare import statistics
from hardneg.compare.statistics import LEAST_FREEDOM

Scores = Mapping[str, Float[np.ndarray, " Q"]]  # arm -> dev metric by query, the queries of all arms in one order


@dataclass(frozen=True)
class Rules:
    """How much error a race may make, and how many arms it lets through.

    `alpha` is the chance that any arm, at any look, is called worse than one that it equals, and the chance that an arm
    is named the winner that is no better than the baseline. Each look spends a share of it in proportion to how far the
    arms have come (the last looks decide most), evenly over all pairs of `arms` (those that were entered, less those
    that would repeat another's run): a union bound (Bonferroni), which holds however the looks depend on each other and
    whichever arms are left. The winner is tested once, on seeds that no look has seen (`to_win`).
    """

    arms: int
    rungs: int = 4
    growth: int = 2
    keep: float = 0.5
    alpha: float = 0.05

    def units(self, rung: int) -> int:
        """How far the arms have come at a rung, in lengths of the first one."""
        return self.growth ** (rung - 1)

    def stretch(self, rung: int) -> int:
        """How far it is from the rung before, or from the start, in the same lengths."""
        return self.units(rung) - (self.units(rung - 1) if rung > 1 else 0)

    @property
    def whole(self) -> int:
        """The length of a whole run in lengths of the first rung."""
        return self.units(self.rungs)

    @property
    def to_win(self) -> float:
        """The two-sided p-value against the baseline that an arm which is better must come below to be the winner.

        `alpha` is shared by all arms that might be tested (Bonferroni), so whichever the race brings to that test, and
        however, the chance of a wrong winner is `alpha` at most. As an arm that is worse cannot win, that is twice the
        share in two-sided terms, but never more than `alpha`.
        """
        return min(self.alpha, 2 * self.alpha / (self.arms - 1))

    def level(self, rung: int) -> float:
        """The p-value that a pair must come below at this look."""
        pairs = self.arms * (self.arms - 1) / 2
        return self.alpha * self.units(rung) / sum(map(self.units, range(1, self.rungs + 1))) / pairs

    def most(self, rung: int) -> int:
        """How many arms may go on after a rung: a share of all but the baseline, one at least, and the baseline."""
        return 1 + max(1, math.ceil((self.arms - 1) * self.keep**rung))


@dataclass(frozen=True)
class Look:
    """What was seen at a rung: the leader, every arm's p-value against it, and who stops, and why."""

    rung: int
    leader: str
    level: float
    p: dict[str, float]
    worse: list[str] = field(default_factory=list)  # significantly worse than the leader
    no_time: list[str] = field(default_factory=list)  # not significantly worse, but the budget has room for fewer
    on: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What the last rung says: the arm that is to be tested against the baseline on other seeds, or the baseline.

    `close` are the arms within one standard error of the leader, itself included, as they stand in the portfolio; the
    first of them is `taken`.
    """

    taken: str
    leader: str
    close: list[str]
    lead: float  # of the leader over the baseline, on dev
    error: float  # its standard error, over queries; both 0 where the baseline leads


def p_value(one: Float[np.ndarray, " Q"], other: Float[np.ndarray, " Q"]) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test over paired queries; 1 where means and ranks disagree.

    As in Optuna's `WilcoxonPruner` zeros are split. Two arms that are equal but for chance are exchangeable, so that
    their differences are symmetric and the test is valid; a difference counts only if the means, which are what is
    reported, go the same way as the ranks.
    """
    d, lead = np.asarray(one, float) - np.asarray(other, float), float(np.mean(one) - np.mean(other))
    if not d.any() or lead == 0:  # equal means go neither way
        return 1.0
    found = stats.wilcoxon(d, zero_method="zsplit", alternative="greater", method="auto")
    above = float(found.pvalue)
    return min(1.0, 2 * (above if lead > 0 else 1 - above))


def look(scores: Scores, rung: int, rules: Rules, baseline: str, room: int | None = None) -> Look:
    """Look at the arms that have come to a rung: who is worse than the leader stops, then who has no room.

    `room` is for how many the time left is enough; never fewer than two, the leader and the baseline, which always goes
    on, so that at the end it has been trained at the whole length.
    """
    ranked = sorted(scores, key=lambda arm: -float(scores[arm].mean()))
    leader, level = ranked[0], rules.level(rung)
    p = {arm: p_value(scores[leader], scores[arm]) for arm in ranked[1:]}
    worse = [arm for arm in ranked[1:] if p[arm] < level and arm != baseline]
    on = [arm for arm in ranked if arm not in worse]
    most = rules.most(rung) if room is None else max(2, min(room, rules.most(rung)))
    no_time = [arm for arm in on if arm not in (leader, baseline)][::-1][: max(len(on) - most, 0)]
    return Look(rung, leader, level, p, worse, no_time, [arm for arm in on if arm not in no_time])


def standard_error(one: Float[np.ndarray, " Q"], other: Float[np.ndarray, " Q"]) -> float:
    """The standard error of the mean difference by query; 0 for fewer than two queries."""
    d = np.asarray(one, float) - np.asarray(other, float)
    return float(d.std(ddof=1) / math.sqrt(len(d))) if len(d) > 1 else 0.0


def verdict(scores: Scores, baseline: str, portfolio: Sequence[str]) -> Verdict:
    """Judge the arms that have come to the last rung by the rule of one standard error.

    Of the arms within one standard error of the best the first in the portfolio is taken, which goes from the simplest
    to the costliest (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, 3.4.3; here paired
    by query). This names no winner: it is tested on other seeds.
    """
    leader = max(scores, key=lambda arm: float(scores[arm].mean()))

    def behind(arm: str) -> float:
        return float(scores[leader].mean() - scores[arm].mean())

    errors = {arm: standard_error(scores[leader], scores[arm]) for arm in scores}
    close = [arm for arm in portfolio if arm in scores and behind(arm) <= errors[arm]]
    taken = baseline if baseline in close else close[0]
    return Verdict(taken, leader, close, behind(baseline), errors[baseline])


@dataclass(frozen=True)
class Confirmation:
    """The arm that was taken against the baseline on seeds that the race had not seen, on dev."""

    difference: float
    low: float
    high: float
    p: float | None  # None: too few seeds
    seeds: int
    error: float  # the standard error, over seeds and queries; with one seed over queries alone

    def wins(self, level: float) -> bool:
        """Whether it is better than the baseline."""
        return self.p is not None and self.p < level and self.difference > 0

    @property
    def ahead(self) -> bool:
        """Whether it leads by more than one standard error, proof or not."""
        return self.difference > self.error


def confirm(
    taken: Mapping[int, Float[np.ndarray, " Q"]],
    baseline: Mapping[int, Float[np.ndarray, " Q"]],
    means: Float[np.ndarray, "A S"],
) -> Confirmation:
    """Test an arm against the baseline over new seeds and the dev queries, both random, as `hardneg compare` does.

    A race trains every arm with one seed, and of equal arms one seed's run may well be better than another's by more
    than queries explain. So a winner is named by other seeds. `means` are the dev means of these arms by seed (NaN
    where one has no such run), the race's own among them, from which the variance between seeds is pooled.
    """
    shared = sorted(taken.keys() & baseline.keys())
    d = np.stack([taken[seed] - baseline[seed] for seed in shared])
    found = statistics.crossed(d, statistics.pooled_seed_variance(means))
    low, high = found.interval()
    enough = found.seeds > 1 and found.seed_freedom >= LEAST_FREEDOM
    return Confirmation(found.mean, low, high, found.p if enough else None, found.seeds, found.error)
