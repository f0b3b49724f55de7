"""Arms x data sets: one table over all test sets, with the mean over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hardneg.compare.arms import Arm
from hardneg.compare.comparison import ArmRow, Comparison, ComparisonPlan
from hardneg.compare.contrasts import compare
from hardneg.compare.statistics import ALPHA

MEAN = "mean"
BETTER, WORSE = "†", "‡"


@dataclass(frozen=True)
class Across:
    """One metric of all arms on all sets: `columns` are the comparisons by set, `whole` that of the mean, if any.

    The mean over the sets can be tested where the sets were tested by the same runs; over sets that have models of
    their own it is only shown.
    """

    metric: str
    columns: Mapping[str, Comparison]
    whole: Comparison | None
    notes: list[str] = field(default_factory=list)

    @property
    def arms(self) -> list[str]:
        """The arms, best mean first; those that some sets lack come last."""
        names = dict.fromkeys(row.arm for table in self.columns.values() for row in table.rows)
        means = {name: self.mean(name) for name in names}
        return sorted(names, key=lambda name: (means[name] is None, -(means[name] or 0.0)))

    @property
    def baselines(self) -> list[str]:
        """The baselines of the sets: one, unless the sets have different arms."""
        return list(dict.fromkeys(table.baseline for table in self.columns.values()))

    def cell(self, arm: str, column: str) -> ArmRow | None:
        """One arm on one set; None where it was not tested there."""
        return next((row for row in self.columns[column].rows if row.arm == arm), None)

    def mean(self, arm: str) -> float | None:
        """The mean over the sets, each counting the same; None for an arm that is not on all of them."""
        found = [row.mean for name in self.columns if (row := self.cell(arm, name)) is not None]
        return float(np.mean(found)) if len(found) == len(self.columns) else None

    def mean_row(self, arm: str) -> ArmRow | None:
        """The test of the mean; None where it is not tested."""
        return None if self.whole is None else next((row for row in self.whole.rows if row.arm == arm), None)

    def best(self, column: str | None) -> float:
        """The highest mean of a column, of the mean over the sets for None."""
        if column is not None:
            return max(row.mean for row in self.columns[column].rows)
        return max((mean for arm in self.arms if (mean := self.mean(arm)) is not None), default=float("nan"))


def mark(row: ArmRow | None) -> str:
    """Say whether an arm is better or worse than the baseline, where that was tested and is significant."""
    if row is None or row.contrast is None or row.contrast.p >= ALPHA:
        return ""
    return BETTER if row.contrast.difference.mean > 0 else WORSE


def across(
    by_data: Mapping[str, Mapping[str, Arm]], plans: Mapping[str, ComparisonPlan], wholes: Mapping[str, Comparison]
) -> Across | None:
    """Put the sets of all data side by side, by the `plans` and comparisons (`wholes`) of each; None for one set.

    Each test set of a run is a column, named DATA/SET where the runs are on several data.
    """
    columns: dict[str, Comparison] = {}
    for data, by_arm in by_data.items():
        sets = dict.fromkeys(name for arm in by_arm.values() for run in arm.runs.values() for name in run.sets)
        if not sets:
            columns[data] = wholes[data]
            continue
        for name in sets:
            here = {arm: found for arm, one in by_arm.items() if (found := one.on(name)) is not None}
            column = name if len(by_data) == 1 else f"{data}/{name}"
            columns[column] = compare(column, here, _plan_of_set(plans[data], wholes[data].baseline, by_arm, here))
    if len(columns) < 2:
        return None
    only = next(iter(wholes.values())) if len(by_data) == 1 else None
    table = Across(next(iter(plans.values())).metric, columns, only)
    return Across(table.metric, columns, only, _notes(table))


def _plan_of_set(
    plan: ComparisonPlan, baseline: str, whole: Mapping[str, Arm], here: Mapping[str, Arm]
) -> ComparisonPlan:
    """The plan for one of several sets: the same baseline, and the clusters of its queries."""
    if plan.clusters is None:
        return replace(plan, baseline=baseline)
    ids, own = (
        next(run.per_query.ids for arm in arms.values() for run in arm.runs.values() if run.per_query is not None)
        for arms in (whole, here)
    )
    return replace(plan, baseline=baseline, clusters=plan.clusters[np.isin(ids, own)])


def _notes(table: Across) -> list[str]:
    notes = []
    for arm in table.arms:
        if lacking := [name for name in table.columns if table.cell(arm, name) is None]:
            notes.append(f"{arm} was not tested on {', '.join(lacking)}, so it has no mean.")
    if len(table.baselines) > 1:
        notes.append(f"The sets have different baselines ({'; '.join(table.baselines)}): choose one by --baseline.")
    return notes


def seeds_said(table: Across) -> str:
    """Say how many seeds the cells are means of."""
    counts = sorted({len(row.seeds) for column in table.columns.values() for row in column.rows})
    if counts == [1]:
        return "one seed"
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def caption(table: Across, better: str = BETTER, worse: str = WORSE) -> str:
    """Say what the numbers are, what is tested and how, and what bold and the daggers mean."""
    baseline = " / ".join(table.baselines)
    seeds = sorted({c.difference.seeds for one in table.columns.values() for c in one.contrasts.values()})
    said = f"Test {table.metric}, means over {seeds_said(table)}. Mean: over the {len(table.columns)} sets, each"
    said += " counting the same. Bold: the highest of a column, whether or not the difference is significant."
    unit = "seed and cluster of queries" if _clustered(table) else "seed and query"
    said += (
        f" {better} better, {worse} worse than {baseline} (p < {ALPHA:g}): differences paired by {unit}, both random,"
    )
    said += " p after Holm over the primary arms of a set, not over the sets."
    said += " The mean is tested likewise." if table.whole is not None else " The mean is not tested."
    if seeds[:1] == [1]:
        said += " With one seed the test covers other queries, not other seeds."
    elif any(not c.tested for one in table.columns.values() for c in one.contrasts.values()):
        said += " Too few seeds for a test where two arms have two: a missing mark there says nothing."
    return said


def _clustered(table: Across) -> bool:
    return any(one.plan.clusters is not None for one in table.columns.values())


def texts(table: Across) -> list[list[str]]:
    """The cells as plain text, an arm a row: its name, its sets, the mean; "" for what was not tested."""
    out = []
    for arm in table.arms:
        cells = [table.cell(arm, name) for name in table.columns]
        row = ["" if one is None else f"{one.mean:.4f}{mark(one)}" for one in cells]
        mean = table.mean(arm)
        out.append([arm, *row, "" if mean is None else f"{mean:.4f}{mark(table.mean_row(arm))}"])
    return out
