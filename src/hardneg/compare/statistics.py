"""Paired tests that treat both queries and seeds as samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

ALPHA = 0.05
LEAST_FREEDOM = 2  # of the variance between seeds: with one, equal arms differ significantly in up to 13% of tries


@dataclass(frozen=True)
class SeedVariance:
    """How much the difference of two arms' means varies from seed to seed, and the degrees of freedom behind it."""

    value: float
    freedom: int


@dataclass(frozen=True)
class Components:
    """The variance of one paired difference, by where it comes from; NaN where the design cannot tell.

    `pooled` is how many differences the variance between seeds is estimated from together.
    """

    seed: float
    query: float
    rest: float
    pooled: float = 1.0

    def error(self, seeds: int, queries: int) -> tuple[float, float]:
        """Return standard error and Satterthwaite degrees of freedom of the mean in a design of this size.

        A component of zero still lends its uncertainty: that it came out as zero is an estimate, from few seeds.
        """
        if queries < 2:
            return np.inf, 1.0
        if seeds == 1:
            return float(np.sqrt((self.query + self.rest) / queries)), queries - 1.0
        ms_s, ms_q = self.rest + queries * self.seed, self.rest + seeds * self.query
        total = ms_s + ms_q - self.rest
        spread = ms_s**2 / (self.pooled * (seeds - 1))
        spread += ms_q**2 / (queries - 1) + self.rest**2 / ((seeds - 1) * (queries - 1))
        freedom = total**2 / spread if spread > 0 else queries - 1.0
        return float(np.sqrt(total / (seeds * queries))), float(freedom)


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its standard error; `seeds` and `queries` (or clusters) say what it rests on.

    `queries` is 0 where only seeds could be sampled.
    """

    mean: float
    error: float
    freedom: float
    seeds: int
    queries: int
    components: Components

    @property
    def seed_freedom(self) -> float:
        """The degrees of freedom of the variance between seeds; 0 for one seed."""
        return self.components.pooled * (self.seeds - 1)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval."""
        half = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error if self.error else 0.0
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Two-sided, of no difference."""
        return min(1.0, 2 * min(self._above(0.0), self._above(0.0, -1)))

    def p_not_worse(self, margin: float) -> float:
        """One-sided, of being worse by `margin` or more (non-inferiority)."""
        return self._above(-margin)

    def p_equivalent(self, margin: float) -> float:
        """Of a difference of `margin` or more in either direction: two one-sided tests (TOST, Schuirmann 1987)."""
        return max(self._above(-margin), self._above(margin, -1))

    def _above(self, bound: float, sign: int = 1) -> float:
        """The one-sided p-value of `mean <= bound` (sign 1) or `mean >= bound` (sign -1)."""
        gap = sign * (self.mean - bound)
        if self.error == 0:
            return 0.0 if gap > 0 else 1.0
        return float(stats.t.sf(gap / self.error, self.freedom))


def pooled_seed_variance(means: Float[np.ndarray, "A S"]) -> SeedVariance | None:
    """Estimate from all arms together how much a difference of two of them varies from seed to seed.

    `means` holds each arm's metric by seed, NaN where an arm has no such run. What is left of it after arms and seeds
    are taken out (a two-way layout, by least squares where cells are missing) has variance s^2 in each arm, and twice
    that in a difference; (A - 1)(S - 1) degrees of freedom where no cell is missing. Assumes that seeds matter alike in
    all arms. None where nothing is left to estimate it from.
    """
    arm, seed = np.nonzero(~np.isnan(means))
    if not len(arm):
        return None
    design = np.concatenate([np.eye(means.shape[0])[arm], np.eye(means.shape[1])[seed]], axis=1)
    values = means[arm, seed]
    freedom = len(values) - int(np.linalg.matrix_rank(design))
    if freedom < 1:
        return None
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return SeedVariance(2 * float(left @ left) / freedom, freedom)


def crossed(d: Float[np.ndarray, "S Q"], seed_variance: SeedVariance | None = None) -> Difference:
    """Test the mean of paired differences (row: seed, column: query) against 0, with both effects random.

    Var = MS_s/(SQ) + MS_q/(SQ) - MS_e/(SQ), from a two-way layout without replication, with Satterthwaite's degrees of
    freedom; a component that comes out negative is zero, and its uncertainty stays. With a `seed_variance` of all arms
    MS_s is that one, or the difference's own where it is larger (an arm whose seeds vary more than the others'), and
    its degrees of freedom are the pooled ones.

    Simulated in experiments/11_seeds at a nominal 5%: with 3 arms or more two equal ones differ significantly in 1 to
    5% of tries, also with 2 seeds; two arms alone with 3 seeds in up to 9%. Testing over queries alone after averaging
    seeds goes up to 27%, over seeds alone up to 50%. With one seed only queries can vary: the interval says nothing
    about other seeds.
    """
    seeds, queries = d.shape
    mean = float(d.mean())
    if queries < 2:
        parts = Components(np.nan, np.nan, np.nan)
    elif seeds == 1:
        parts = Components(np.nan, float(d.var(ddof=1)), 0.0)
    else:
        by_seed, by_query = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
        rest = float(((d - by_seed - by_query + mean) ** 2).sum()) / ((seeds - 1) * (queries - 1))
        spread, pooled = _between_seeds(by_seed[:, 0], seed_variance)
        of_query = float(by_query.var(ddof=1)) - rest / seeds
        parts = Components(max(spread - rest / queries, 0.0), max(of_query, 0.0), rest, pooled)
    return Difference(mean, *parts.error(seeds, queries), seeds, queries, parts)


def over_seeds(d: Float[np.ndarray, " S"], seed_variance: SeedVariance | None = None) -> Difference:
    """The paired t-test over seeds, for runs whose per-query values are gone: it says nothing about other queries.

    A `seed_variance` of all arms is taken as in `crossed`.
    """
    if len(d) < 2:
        return Difference(float(d.mean()), np.inf, 1.0, len(d), 0, Components(np.nan, np.nan, np.nan))
    spread, pooled = _between_seeds(d, seed_variance)
    error, parts = float(np.sqrt(spread / len(d))), Components(spread, np.nan, np.nan, pooled)
    return Difference(float(d.mean()), error, pooled * (len(d) - 1.0), len(d), 0, parts)


def _between_seeds(means: Float[np.ndarray, " S"], seed_variance: SeedVariance | None) -> tuple[float, float]:
    """The variance between seeds, and how many differences it is estimated from."""
    spread = float(means.var(ddof=1))
    if seed_variance is None:
        return spread, 1.0
    return max(spread, seed_variance.value), seed_variance.freedom / (len(means) - 1)


def by_cluster(d: Float[np.ndarray, "S Q"], clusters: Int[np.ndarray, " Q"]) -> Float[np.ndarray, "S C"]:
    """Turn queries into clusters for `crossed`, so that queries which share a document count as one draw.

    With clusters of one size the columns are their means. Otherwise the mean over queries is a ratio, and the columns
    are its linearisation: `crossed` then gives the mean over queries itself, with the cluster-robust variance
    C/(C-1) * sum of squared cluster residuals / Q^2.
    """
    index = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(index)
    sums = np.stack([np.bincount(index, weights=row) for row in d])
    return d.mean() + (sums - d.mean() * sizes) * (len(sizes) / d.shape[1])


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values so that all of them together are wrong with the nominal rate at most (Holm 1979)."""
    adjusted, worst = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        worst = max(worst, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = worst
    return adjusted


def effect_size(d: Float[np.ndarray, "S Q"], weights: Float[np.ndarray, " Q"] | None = None) -> float:
    """Cohen's dz: the mean difference over its standard deviation between queries, seeds averaged.

    `weights`, 1 on average, are those that the differences were multiplied by; null: none. They weigh queries in the
    deviation too, and are no part of it.
    """
    per_query = d.mean(axis=0)
    if len(per_query) < 2:
        return float("nan")
    mean, weights = float(per_query.mean()), np.ones(len(per_query)) if weights is None else weights
    spread = float(np.sqrt((weights * (per_query / weights - mean) ** 2).sum() / (len(per_query) - 1)))
    return mean / spread if spread else float("nan")


def wins(d: Float[np.ndarray, "S Q"], tie: float) -> tuple[int, int, int]:
    """Count queries won, tied (by at most `tie`) and lost, seeds averaged."""
    per_query = d.mean(axis=0)
    won, lost = int((per_query > tie).sum()), int((per_query < -tie).sum())
    return won, per_query.size - won - lost, lost
