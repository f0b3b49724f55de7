"""What must be said beside a comparison: what it left out, what it does not cover, what it could not have resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hardneg.compare.arms import Arm, unnamed_differences
from hardneg.compare.comparison import Comparison
from hardneg.compare.power import detectable, queries_needed, seeds_needed
from hardneg.compare.statistics import Difference


def notes_on(by_arm: Mapping[str, Arm], table: Comparison) -> list[str]:
    """Say what was left out, how far the test can be trusted, and which differences it could not have found."""
    base = by_arm[table.baseline]
    notes = []
    for name, arm in by_arm.items():
        if name == table.baseline:
            continue
        shared = arm.shared(base)
        if not shared:
            notes.append(
                f"{name} shares no seed with the baseline, so it is not tested; train both with the same seeds."
            )
        elif set(shared) != arm.runs.keys() | base.runs.keys():
            left = sorted((arm.runs.keys() | base.runs.keys()) - set(shared))
            notes.append(f"{name}: paired on seeds {_list(shared)}; {_list(left)} left out of the difference.")
        if also := unnamed_differences(arm, base):
            more = f" and {len(also) - 4} more" if len(also) > 4 else ""
            notes.append(f"{name} differs from the baseline also in {', '.join(also[:4])}{more}.")
    return notes + _cost(by_arm, table.baseline) + _cautions(table) + _power(table)


def _cost(by_arm: Mapping[str, Arm], baseline: str) -> list[str]:
    """Say what the arms trained with, where that differs: equal steps are not equal documents, nor equal time."""
    alike: dict[str, list[str]] = {}
    for name in sorted(by_arm, key=lambda name: (name != baseline, name)):
        if (cost := by_arm[name].cost) is not None:
            alike.setdefault(cost, []).append(name)
    if len(alike) < 2:
        return []
    told = "; ".join(f"{cost} ({', '.join(arms)})" for cost, arms in alike.items())
    return [f"Trained at unequal cost, in queries x documents embedded for each: {told}."]


def _cautions(table: Comparison) -> list[str]:
    found = table.contrasts.values()
    notes = []
    if any(c.difference.seeds == 1 for c in found):
        notes.append(
            "ONE SEED: the test covers other queries, not other seeds, and calls equal arms different in up to 27% of"
            " tries. Train at least 3 seeds before you believe it."
        )
    elif not all(c.tested for c in found):
        notes.append(
            "Two seeds of two arms say next to nothing about seeds: a test would call equal arms different in up to 13%"
            " of tries, so no verdict is given. Train a third seed, or more arms with these two."
        )
    elif any(c.difference.seeds == 2 for c in found):
        notes.append(
            "Two seeds: what seeds do is estimated from all arms together. An arm whose seeds vary three times as much"
            " as the others' is called different in up to 13% of tries. Train 3 or more."
        )
    if any(c.difference.queries == 0 for c in found):
        notes.append(
            "Where `on` names seeds only, the per-query values are gone (the run folder, or its per_query.parquet): the"
            " test covers other seeds, not other queries."
        )
    return notes


def _power(table: Comparison) -> list[str]:
    """Say which contrasts this design could not have resolved, and what would."""
    notes = []
    for name, contrast in table.contrasts.items():
        d = contrast.difference
        alpha = table.alpha(contrast)
        target = table.plan.target
        if contrast.verdict.startswith(("better", "worse", "equivalent")):
            continue
        if (least := detectable(d, alpha)) <= target:
            continue
        reach = f"{least:.4f}" if least < 1 else "no possible difference"
        remedy = _remedy(d, target, alpha, "queries" if table.plan.clusters is None else "clusters")
        design = f"this design finds {reach} in 80% of tries (df {freedom(d.freedom)}, alpha {alpha:.2g})"
        notes.append(f"{name} is not resolved: {design}; for {target:.4f} {remedy}.")
    return notes


def freedom(value: float) -> str:
    """Write degrees of freedom."""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _remedy(d: Difference, target: float, alpha: float, unit: str) -> str:
    if d.queries == 0 or not np.isfinite(d.error):
        return "train more seeds and keep the run folders"
    ways = []
    if d.seeds > 1 and (seeds := seeds_needed(d, target, alpha)):
        ways.append(f"{seeds:,} seeds")
    if queries := queries_needed(d, target, alpha):
        ways.append(f"{queries:,} {unit}")
    return f"take {' or '.join(ways)}" if ways else f"take more seeds and more {unit}: neither alone is enough"


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
