"""The tests of a comparison: the difference of every arm to the baseline, with p-values corrected over the arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hardneg.compare import statistics
from hardneg.compare.arms import Arm, seed_table
from hardneg.compare.comparison import ArmRow, Comparison, ComparisonPlan, Contrast
from hardneg.compare.notes import notes_on
from hardneg.compare.statistics import SeedVariance
from hardneg.errors import UserError


def compare(data: str, by_arm: Mapping[str, Arm], plan: ComparisonPlan) -> Comparison:
    """Test every arm against the baseline; raises `UserError` for an unknown baseline or primary arm."""
    baseline = plan.baseline or usual_baseline(by_arm)
    for option, names in (("--baseline", [baseline]), ("--primary", plan.primary)):
        for name in names:
            if name not in by_arm:
                raise UserError(f"{option} {name}: no such arm; there are: {'; '.join(sorted(by_arm))}")
    if baseline in plan.primary:
        raise UserError(f"--primary {baseline}: that is the baseline, which is not compared with itself")
    others = {name: arm for name, arm in by_arm.items() if name != baseline}
    spread = statistics.pooled_seed_variance(seed_table(by_arm, plan.metric))
    tested = {name: _contrast(arm, by_arm[baseline], plan, spread) for name, arm in others.items()}
    contrasts = _corrected({name: contrast for name, contrast in tested.items() if contrast is not None}, plan)
    rows = [_row(arm, plan.metric, contrasts.get(name)) for name, arm in by_arm.items()]
    sets = max(len(run.sets) for arm in by_arm.values() for run in arm.runs.values())
    table = Comparison(data, plan, baseline, sorted(rows, key=lambda row: -row.mean), sets=sets)
    return replace(table, notes=notes_on(by_arm, table))


def usual_baseline(by_arm: Mapping[str, Arm]) -> str:
    """Return the arm to compare with where none is named: one with in-batch negatives alone, else the first by name."""
    return min(by_arm, key=lambda name: (not by_arm[name].in_batch_only, name))


def _row(arm: Arm, metric: str, contrast: Contrast | None) -> ArmRow:
    means = arm.means(metric)
    spread = float(means.std(ddof=1)) if len(means) > 1 else float("nan")
    return ArmRow(arm.name, tuple(arm.runs), float(means.mean()), spread, contrast)


def _contrast(arm: Arm, baseline: Arm, plan: ComparisonPlan, spread: SeedVariance | None) -> Contrast | None:
    """Test one arm, with the variance between seeds of all arms; None where it shares no seed with the baseline."""
    if not arm.shared(baseline):
        return None
    primary = not plan.primary or arm.name in plan.primary
    d = arm.minus(baseline, plan.metric)
    if d is None:
        found = Contrast(statistics.over_seeds(arm.minus_by_seed(baseline, plan.metric), spread), primary)
    else:
        units = d if plan.clusters is None else statistics.by_cluster(d, plan.clusters)
        dz = statistics.effect_size(d, arm.weights)
        wins = statistics.wins(d if arm.weights is None else d / arm.weights, plan.tie)
        found = Contrast(statistics.crossed(units, spread), primary, dz=dz, wins=wins)
    if plan.margin is None:
        return found
    difference = found.difference
    return replace(
        found, p_not_worse=difference.p_not_worse(plan.margin), p_equivalent=difference.p_equivalent(plan.margin)
    )


def _corrected(contrasts: Mapping[str, Contrast], plan: ComparisonPlan) -> dict[str, Contrast]:
    """Correct each kind of p-value over the primary contrasts."""
    primary = [name for name, contrast in contrasts.items() if contrast.primary]

    def over(p: Callable[[Contrast], float | None]) -> dict[str, float]:
        return dict(zip(primary, statistics.holm([p(contrasts[name]) or 0.0 for name in primary]), strict=True))

    out = dict(contrasts)
    differs = over(lambda contrast: contrast.p)
    not_worse, equivalent = over(lambda contrast: contrast.p_not_worse), over(lambda contrast: contrast.p_equivalent)
    for name in primary:
        out[name] = replace(out[name], p_holm=differs[name])
        if plan.margin is not None:
            out[name] = replace(out[name], p_not_worse=not_worse[name], p_equivalent=equivalent[name])
    return out
