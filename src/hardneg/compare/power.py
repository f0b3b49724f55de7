"""What difference a design can detect, and how many seeds or queries find a smaller one."""

from __future__ import annotations

from collections.abc import Callable

from scipy import optimize, stats

from hardneg.compare.statistics import ALPHA, Difference

POWER = 0.8
LOST = 1e5  # standard errors, beyond which scipy's non-central t does not converge
MOST_SEEDS, MOST_QUERIES = 1000, 10_000_000  # beyond which no design is asked for


def detectable(d: Difference, alpha: float = ALPHA) -> float:
    """The smallest true difference that a design like this one finds with 80% power, at the variances measured."""
    return d.error * _reach(d.freedom, alpha)


def seeds_needed(d: Difference, target: float, alpha: float = ALPHA) -> int | None:
    """How many seeds find `target` with 80% power at this number of queries; None above `MOST_SEEDS`."""
    return _least(lambda seeds: _planned(d, seeds, d.queries, alpha) <= target, MOST_SEEDS)


def queries_needed(d: Difference, target: float, alpha: float = ALPHA) -> int | None:
    """How many queries (or clusters) find `target` with 80% power with these seeds; None above `MOST_QUERIES`."""
    return _least(lambda queries: _planned(d, d.seeds, queries, alpha) <= target, MOST_QUERIES)


def _planned(d: Difference, seeds: int, queries: int, alpha: float) -> float:
    error, freedom = d.components.error(seeds, queries)
    return error * _reach(freedom, alpha)


def _least(enough: Callable[[int], bool], high: int) -> int | None:
    """The smallest number from 2 on that is enough, by bisection; None if `high` is not."""
    low = 2
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def _reach(freedom: float, alpha: float) -> float:
    """How many standard errors a difference must measure to be found with `POWER` in a two-sided t-test.

    Infinitely many at a fraction of a degree of freedom, where that would be above `LOST`.
    """
    critical = float(stats.t.ppf(1 - alpha / 2, freedom))
    if critical > LOST:
        return float("inf")
    if freedom > 1000:  # normal to four digits, and quick
        return critical + float(stats.norm.ppf(POWER))

    def missing(size: float) -> float:
        return float(stats.nct.sf(critical, freedom, size)) - POWER

    return float(optimize.brentq(missing, 0.0, 2 * critical + 10))
