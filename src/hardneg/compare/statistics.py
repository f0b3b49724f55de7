"""A paired test that knows that both queries and seeds are samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95% interval and two-sided p-value; `seeds` and `queries` say what it rests on."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    queries: int


def crossed(d: Float[np.ndarray, "S Q"]) -> Difference:
    """Test the mean of paired differences (row: seed, column: query) against 0, with both effects random.

    Var = s_q^2/Q + s_s^2/S + s_e^2/(S*Q) from a two-way layout without replication, Satterthwaite degrees of freedom.
    Testing over queries alone after averaging seeds is wrong up to 27% of the time at a nominal 5%, over seeds alone
    up to 50%. With one seed only queries can vary: the interval then says nothing about other seeds.
    """
    seeds, queries = d.shape
    mean = float(d.mean())
    if queries < 2:
        return Difference(mean, -np.inf, np.inf, 1.0, seeds, queries)
    if seeds == 1:
        return _interval(mean, float(d.var(ddof=1)) / queries, float(queries - 1), seeds, queries)
    by_seed, by_query = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    rest = d - by_seed - by_query + mean
    ms_s = queries * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    ms_q = seeds * float(((by_query - mean) ** 2).sum()) / (queries - 1)
    ms_e = float((rest**2).sum()) / ((seeds - 1) * (queries - 1))
    # A component that comes out negative is zero; its mean square then only estimates the residual.
    ms_s, ms_q = max(ms_s, ms_e), max(ms_q, ms_e)
    total = ms_s + ms_q - ms_e
    spread = ms_s**2 / (seeds - 1) + ms_q**2 / (queries - 1) + ms_e**2 / ((seeds - 1) * (queries - 1))
    freedom = total**2 / spread if spread > 0 else float(queries - 1)
    return _interval(mean, total / (seeds * queries), freedom, seeds, queries)


def _interval(mean: float, variance: float, freedom: float, seeds: int, queries: int) -> Difference:
    error = float(np.sqrt(variance))
    if error == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, seeds, queries)
    half = float(stats.t.ppf(0.975, freedom)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, freedom))
    return Difference(mean, mean - half, mean + half, p, seeds, queries)
