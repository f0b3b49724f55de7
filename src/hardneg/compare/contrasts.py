"""The content of a comparison: every arm, and its tested difference to the baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hardneg.compare import statistics
from hardneg.compare.arms import Arm, seed_table, unnamed_differences
from hardneg.compare.statistics import ALPHA, LEAST_FREEDOM, Difference, SeedVariance
from hardneg.errors import UserError


@dataclass(frozen=True)
class Plan:
    """What is asked, decided before looking: the metric, the baseline, the primary arms, the margin that matters.

    `primary` empty: all arms. `margin` is the smallest difference of interest (SESOI); without one, equivalence is not
    tested, and power is spoken of for `target`. `clusters` numbers the test queries, in the order of their sorted ids.
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
        """Whether there is enough to test: of two arms with two seeds, what seeds do is known from one number only."""
        return self.difference.seeds == 1 or self.difference.seed_freedom >= LEAST_FREEDOM

    @property
    def p(self) -> float:
        """The p-value that decides: corrected for primary contrasts; 1 where nothing can be tested."""
        if not self.tested:
            return 1.0
        return self.difference.p if self.p_holm is None else self.p_holm

    @property
    def verdict(self) -> str:
        """What may be said at 5%: a difference that was not found is not evidence of none."""
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
class Row:
    """One arm: its seeds, mean and standard deviation between seeds; `contrast` is None for the baseline."""

    arm: str
    seeds: tuple[int, ...]
    mean: float
    spread: float
    contrast: Contrast | None


@dataclass(frozen=True)
class Comparison:
    """One table: the arms on one data set in one metric, best first, and what must be said about it."""

    data: str
    plan: Plan
    baseline: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    sets: int = 0  # how many test sets the metric is the mean of; 0: it is of one

    @property
    def contrasts(self) -> dict[str, Contrast]:
        """By arm."""
        return {row.arm: row.contrast for row in self.rows if row.contrast is not None}

    @property
    def alpha(self) -> float:
        """What a single primary contrast has to reach in the worst case of Holm's correction."""
        return ALPHA / max(1, sum(contrast.primary for contrast in self.contrasts.values()))


def compare(data: str, by_arm: Mapping[str, Arm], plan: Plan) -> Comparison:
    """Test every arm against the baseline; raises `UserError` for a baseline or primary arm that there is not."""
    baseline = plan.baseline or min(by_arm)
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
    return replace(table, notes=_notes(by_arm, table))


def _row(arm: Arm, metric: str, contrast: Contrast | None) -> Row:
    means = arm.means(metric)
    spread = float(means.std(ddof=1)) if len(means) > 1 else float("nan")
    return Row(arm.name, tuple(arm.runs), float(means.mean()), spread, contrast)


def _contrast(arm: Arm, baseline: Arm, plan: Plan, spread: SeedVariance | None) -> Contrast | None:
    """Test one arm, with what seeds do in all of them; None where it shares no seed with the baseline."""
    if not arm.shared(baseline):
        return None
    primary = not plan.primary or arm.name in plan.primary
    d = arm.minus(baseline, plan.metric)
    if d is None:
        found = Contrast(statistics.over_seeds(arm.minus_by_seed(baseline, plan.metric), spread), primary)
    else:
        units = d if plan.clusters is None else statistics.by_cluster(d, plan.clusters)
        dz, wins = statistics.effect_size(d), statistics.wins(d, plan.tie)
        found = Contrast(statistics.crossed(units, spread), primary, dz=dz, wins=wins)
    if plan.margin is None:
        return found
    difference = found.difference
    return replace(
        found, p_not_worse=difference.p_not_worse(plan.margin), p_equivalent=difference.p_equivalent(plan.margin)
    )


def _corrected(contrasts: Mapping[str, Contrast], plan: Plan) -> dict[str, Contrast]:
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


def _notes(by_arm: Mapping[str, Arm], table: Comparison) -> list[str]:
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
    return notes + _cautions(table) + _power(table)


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
        alpha = table.alpha if contrast.primary else ALPHA
        target = table.plan.target
        if contrast.verdict.startswith(("better", "worse", "equivalent")) or d.detectable(alpha) <= target:
            continue
        least = d.detectable(alpha) if np.isfinite(d.error) else np.inf
        reach = f"{least:.4f}" if least < 1 else "no difference that there can be"
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
    if d.seeds > 1 and (seeds := statistics.seeds_needed(d, target, alpha)):
        ways.append(f"{seeds:,} seeds")
    if queries := statistics.queries_needed(d, target, alpha):
        ways.append(f"{queries:,} {unit}")
    return f"take {' or '.join(ways)}" if ways else f"take more seeds and more {unit}: neither alone is enough"


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
