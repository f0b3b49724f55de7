"""How often equal arms are called different with 2, 3 and 5 seeds: simulate.py [TRIES]; prints the table."""

from __future__ import annotations

import sys

import numpy as np
from scipy import stats

from hardneg.compare.statistics import LEAST_FREEDOM, crossed, pooled_seed_variance

# Standard deviations of a difference of two arms in nDCG, by where it comes from: seed, query, rest.
WORLDS = {
    "300 queries": (300, 0.006, 0.18, 0.15),
    "2,000 queries": (2000, 0.006, 0.18, 0.15),
    "2,000 queries, noisy seeds": (2000, 0.02, 0.18, 0.15),
    "2,000 queries, alike for both arms": (2000, 0.006, 0.0, 0.15),
    "300 queries, seeds do nothing": (300, 0.0, 0.18, 0.15),
}
NOISY = 3  # how much more the seeds of one arm vary than the others', in the last column


def values(rng, arms, world, seeds, scale):
    """The metric by arm, seed and query of equal arms; the seeds of the last one vary `scale` times as much."""
    queries, by_seed, by_query, rest = world
    half = np.sqrt(0.5)  # each arm brings half of a difference's variance
    seed_sd = by_seed * half * np.array([1.0] * (arms - 1) + [scale])
    y = rng.normal(0, 1, (arms, seeds, 1)) * seed_sd[:, None, None]
    return y + rng.normal(0, by_query * half, (arms, 1, queries)) + rng.normal(0, rest * half, (arms, seeds, queries))


def clamped(d):
    """The test as it was: each difference by itself, and a seed variance that comes out as zero is taken as known."""
    seeds, queries = d.shape
    rest = ((d - d.mean(0) - d.mean(1, keepdims=True) + d.mean()) ** 2).sum() / ((seeds - 1) * (queries - 1))
    ms_s, ms_q = queries * d.mean(1).var(ddof=1), seeds * d.mean(0).var(ddof=1)
    of_seeds = ms_s**2 / (seeds - 1) if ms_s > rest else 0.0
    ms_s, ms_q = max(ms_s, rest), max(ms_q, rest)
    total = ms_s + ms_q - rest
    freedom = total**2 / (of_seeds + ms_q**2 / (queries - 1) + rest**2 / ((seeds - 1) * (queries - 1)))
    return 2 * stats.t.sf(abs(d.mean()) / np.sqrt(total / (seeds * queries)), freedom), freedom


def rates(arms, world, seeds, tries):
    """Rejections at 5% before and now, the middle 80% of df of both, and rejections of one arm with noisy seeds."""
    rng = np.random.default_rng([arms, seeds])
    before, now, noisy = [], [], []
    for scale in (1, NOISY):
        for _ in range(tries):
            y = values(rng, arms, world, seeds, scale)
            pooled = pooled_seed_variance(y.mean(axis=2))
            for arm in range(1, arms) if scale == 1 else [arms - 1]:
                found = crossed(y[arm] - y[0], pooled)
                if scale == 1:
                    before.append(clamped(y[arm] - y[0]))
                    now.append((found.p, found.freedom))
                else:
                    noisy.append(found.p)
    return np.array(before), np.array(now), np.array(noisy)


def main(tries):
    """Print a row for each design."""
    print("| world | arms | seeds | before | now | one arm's seeds vary 3 x | df before | df now |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, world in WORLDS.items():
        for arms in (2, 3, 4, 8):
            for seeds in (2, 3, 5):
                before, now, noisy = rates(arms, world, seeds, tries)
                spans = (" to ".join(f"{df:,.1f}" for df in np.quantile(f[:, 1], [0.1, 0.9])) for f in (before, now))
                shown = [f"{np.mean(p < 0.05):.1%}" for p in (before[:, 0], now[:, 0], noisy)]
                if (arms - 1) * (seeds - 1) < LEAST_FREEDOM:
                    shown[1:] = [f"no verdict ({share})" for share in shown[1:]]
                print(f"| {name} | {arms} | {seeds} | {' | '.join(shown)} | {' | '.join(spans)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
