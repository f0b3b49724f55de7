"""Contrasts of a study: weighted sums of arms, paired by seed and query, both random; Holm over the primary ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import design
import numpy as np
from scipy import stats

from hardneg.compare import clusters, statistics
from hardneg.compare.arms import Arm, arms, seed_table
from hardneg.compare.finished_runs import find
from hardneg.compare.one_run import FinishedRun
from hardneg.compare.power import detectable
from hardneg.compare.statistics import ALPHA, Difference, SeedVariance
from hardneg.errors import UserError


@dataclass(frozen=True)
class Contrast:
    """One contrast on one set; `p_holm` is None where it is exploratory."""

    name: str
    data: str
    difference: Difference
    p_holm: float | None = None
    noninferior: bool = False  # whether `p_holm` is of being worse by the smallest effect of interest or more

    def verdict(self, smallest: float) -> str:
        """What may be said at 5% of an effect of interest."""
        if self.noninferior:
            return self.not_worse(smallest)
        d, p = self.difference, self.difference.p if self.p_holm is None else self.p_holm
        if p < ALPHA:
            return "above 0" if d.mean > 0 else "below 0"
        if d.p < ALPHA:
            return "not after correction"
        if d.p_equivalent(smallest) < ALPHA:
            return "none as large as that of interest"
        return f"not resolved: finds {100 * detectable(d):.1f} points"

    def not_worse(self, margin: float) -> str:
        """What may be said at 5% of being worse by the margin; "worse" and "better" where the interval says so too."""
        d, (low, high) = self.difference, self.difference.interval()
        if high < -margin:
            return "worse by more than the margin"
        sign = "; better" if low > 0 else "" if high >= 0 else "; worse within it"
        if self.p_holm is not None and self.p_holm < ALPHA:
            return f"not worse by the margin{sign}"
        if d.p_not_worse(margin) < ALPHA:
            return f"not worse by the margin, but not after correction{sign}"
        return "not resolved" + ("; worse" if high < 0 else "")


@dataclass(frozen=True)
class OneSet:
    """The finished arms of one set, which all have the same seeds, and how queries belong together."""

    data: str
    arms: Mapping[str, Arm]
    runs: Mapping[str, Mapping[float, list[FinishedRun]]]  # by arm and learning rate, the first seed's trials too
    clusters: np.ndarray
    spread: SeedVariance | None


def load(study: design.Study, out: Path, start: str, data: str) -> OneSet | None:
    """Read the arms of one set, each at the rate that dev chose; None where nothing is finished.

    Raises `UserError` for an arm of which the first seed, with which the rates are tried, is not.
    """
    chosen, trials = {}, {}
    for arm in study.arms:
        folder = design.home(study, out, start, data) / arm
        if not folder.exists() or not list(folder.glob("*/summary.json")):
            continue
        by_rate: dict[float, list[FinishedRun]] = {}
        for run in find([folder]).runs:
            by_rate.setdefault(float(run.config["optimizer.lr"]), []).append(run)
        trials[arm] = by_rate
        first = {rate: run for rate, runs in by_rate.items() for run in runs if run.seed == study.seeds[0]}
        if not first:
            raise UserError(
                f"{folder}: no run of seed {study.seeds[0]} is finished, the study's first, whose dev metric chooses"
                " the learning rate; train it, as run.py without --seeds does"
            )
        best = max(first, key=lambda rate: first[rate].summary["dev"]["best"])
        (found,) = arms(by_rate[best]).values()
        chosen[arm] = found
    if not chosen:
        return None
    ids = next(iter(next(iter(chosen.values())).runs.values()))
    assert ids.per_query is not None
    alone = data in study.by_query
    together = np.arange(len(ids.per_query.ids)) if alone else clusters.sharing_positives(ids, ids.per_query.ids)
    spread = statistics.pooled_seed_variance(seed_table(chosen, study.metric))
    return OneSet(data, chosen, trials, together, spread)


def test(one: OneSet, weights: Mapping[str, float], metric: str) -> Difference | None:
    """Test one contrast; None where an arm is missing. `weights` add up to 0."""
    if any(arm not in one.arms for arm in weights):
        return None
    seeds = sorted(set.intersection(*(set(one.arms[arm].runs) for arm in weights)))
    if not seeds:
        return None
    d = sum(weight * values(one.arms[arm], seeds, metric) for arm, weight in weights.items())
    # What seeds do is known for a difference of two arms, whose squared weights add up to 2.
    share = sum(weight**2 for weight in weights.values()) / 2
    spread = None if one.spread is None else SeedVariance(one.spread.value * share, one.spread.freedom)
    return statistics.crossed(statistics.by_cluster(np.asarray(d), one.clusters), spread)


def values(arm: Arm, seeds: Sequence[int], metric: str) -> np.ndarray:
    """The metric by seed and query."""
    tables = [arm.runs[seed].per_query for seed in seeds]
    return np.stack([table.values[metric] for table in tables if table is not None])


def primary(study: design.Study, sets: Sequence[OneSet]) -> list[Contrast]:
    """The contrasts named before, on every set, corrected over all of them.

    p is of no difference, two-sided; of a study of non-inferiority, of being worse by `smallest` or more, one-sided.
    """
    found = []
    for name, weights in study.primary.items():
        for one in sets:
            d = test(one, weights, study.metric)
            if d is not None:
                found.append(Contrast(name, one.data, d))
    asked = study.noninferior
    each = [one.difference.p_not_worse(study.smallest) if asked else one.difference.p for one in found]
    corrected = statistics.holm(each)
    return [Contrast(one.name, one.data, one.difference, p, asked) for one, p in zip(found, corrected, strict=True)]


def over_sets(found: Sequence[Difference]) -> tuple[float, float, float]:
    """The mean of differences over these sets with its 95% interval, which says nothing of other sets."""
    mean = float(np.mean([d.mean for d in found]))
    error = float(np.sqrt(sum(d.error**2 for d in found))) / len(found)
    spread = sum(d.error**4 / d.freedom for d in found)
    freedom = sum(d.error**2 for d in found) ** 2 / spread if spread else 1e6
    half = float(stats.t.ppf(0.975, freedom)) * error
    return mean, mean - half, mean + half
