"""Print a table: `table.py OUT NAME`, NAME tuned, judged, rates, presets, grid, minilm, minilm_unused, minilm_batch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grid
import minilm
import minilm_batch
import numpy as np
import rates
import rule
import summaries
from judged import ARMS as JUDGED_ARMS
from judged import PRESETS
from scipy import stats
from study import ARMS, JUDGED, TUNED

from hardneg.compare.arms import Arm, arms
from hardneg.compare.contrasts import ComparisonPlan, compare
from hardneg.compare.finished_runs import find
from hardneg.compare.statistics import Difference

METRIC, LOSS = "ndcg@10", "-infonce"  # what compare adds to the name of an arm
CONTRASTS = [
    *(("in_batch", "in_batch_64"), ("bm25_all", "bm25_64"), ("mined", "mined_64")),  # what the batch does
    *(("bm25", "bm25_all"), ("bm25", "bm25_64")),  # what leaving out the first ranks does, and both together
    *((name, "in_batch") for name in ("random", "bm25_all", "bm25", "mined")),  # what drawn negatives do
]


def tuned(root: Path) -> None:
    """The dev metric of every arm of every step on the tuning sets; one seed."""
    for step, by_arm in ARMS.items():
        sets = [name for name in TUNED if (root / step / name).is_dir()]
        if not sets:
            continue
        print(f"**{step}**: dev {METRIC}, optimiser steps in brackets\n\n| arm | {' | '.join(sets)} |")
        print("| --- |" + " --- |" * len(sets))
        for arm in by_arm:
            cells = [of_run(root / step / name / arm.replace(" ", "_") / "1") for name in sets]
            if any(cells):
                print(f"| {arm} | {' | '.join(cells)} |")
        print()


def of_run(folder: Path) -> str:
    """The best dev metric of a run and its steps; nothing where it was not run."""
    summary = summaries.of(folder)
    return "" if summary is None else f"{summary['dev']['best']:.3f} ({summary['steps']})"


def judged(root: Path) -> None:
    """New against old, and with against without, on the test queries of the confirmation sets."""
    by_set = {name: arms(find([root / "judge" / name]).runs) for name in JUDGED if (root / "judge" / name).is_dir()}
    print(f"**means**: test {METRIC}\n\n| arm | {' | '.join(by_set)} |\n| --- |" + " --- |" * len(by_set))
    for arm in JUDGED_ARMS:
        print(f"| {arm} | {' | '.join(mean(of, arm) for of in by_set.values())} |")
    print(f"\n**differences**, 95% interval\n\n| contrast | {' | '.join(by_set)} | mean of the sets |")
    print("| --- |" + " --- |" * (len(by_set) + 1))
    for new, old in CONTRASTS:
        differences = {name: difference(of, new, old) for name, of in by_set.items()}
        cells = [said(one) for one in differences.values()]
        there = [one for one in differences.values() if one is not None]
        whole = mean_of(there) if len(there) == len(differences) else ""
        print(f"| {new} - {old} | {' | '.join(cells)} | {whole} |")


def by_steps(root: Path) -> None:
    """Dev by the number of steps and the rate, the rules that were tried, and the one test on the confirmation sets."""
    for start in ("minilm", "null"):
        found = rule.curves(root, start)
        tried = sorted({float(one) for values, _ in found.values() for one in values})
        print(f"**rate_steps, encoder.init={start}**: dev {METRIC} by optimiser steps and rate\n")
        print(f"| set | steps | {' | '.join(f'{one:g}' for one in tried)} |")
        print("| --- | --- |" + " --- |" * len(tried))
        for (name, steps), (values, dev) in found.items():
            there = dict(zip(values, dev, strict=True))
            cells = [f"{there[one]:.3f}" if one in there else "" for one in tried]
            print(f"| {name} | {steps} | {' | '.join(cells)} |")
        print()
    rule.show(root)
    for step in ("judge_rate", "judge_rate_scratch"):
        judged_rates(root, step, [*rates.epochs_of(step)])
    print(spent(root, "*rate*"))


def transformer(root: Path) -> None:
    """MiniLM's rate on the tuning sets, and what was judged of it."""
    minilm.table(root)
    judged_rates(root, "judge_minilm", minilm.JUDGED, ("old", "new"))
    minilm.explored_table(root)
    print(spent(root, "minilm", "judge_minilm", "explore_minilm"))


def transformer_unused(root: Path) -> None:
    """MiniLM's explored rate on sets that no rate was tried on."""
    judged_rates(root, "judge_explored_minilm", minilm.UNUSED, ("old", "new"))
    print(spent(root, "judge_explored_minilm"))


def transformer_batch(root: Path) -> None:
    """MiniLM's batch on the tuning sets, and what was judged of it."""
    minilm_batch.table(root)
    judged_rates(root, "judge_minilm_batch", minilm.JUDGED, ("old", "new"))
    print(spent(root, "minilm_batch", "judge_minilm_batch"))


def judged_rates(root: Path, step: str, sets: Sequence[str], pair: tuple[str, str] = ("constant", "rule")) -> None:
    """The one test on the confirmation sets: the second of a pair of rates against the first."""
    if not (root / step).is_dir():
        return
    by_set = {name: arms(find([root / step / name]).runs) for name in sets}
    print(f"**{step}**: test {METRIC}; rate, steps, seeds in brackets\n")
    print(f"| | {' | '.join(by_set)} | mean of the sets |\n| --- |" + " --- |" * (len(by_set) + 1))
    for arm in pair:
        told = [named(of, arm) for of in by_set.values()]
        cells = [f"{m.means(METRIC).mean():.4f} ({rate_of(m):g}, {steps_of(m)}, {len(m.runs)})" for m in told]
        print(f"| {arm} | {' | '.join(cells)} | {np.mean([m.means(METRIC).mean() for m in told]):.4f} |")
    there = [contrast(of, pair[1], pair[0]) for of in by_set.values()]
    print(f"| {pair[1]} - {pair[0]} | {' | '.join(map(said, there))} | {mean_of(there)} |\n")


def presets(root: Path) -> None:
    """The presets with the default words, against in-batch negatives alone, on the confirmation sets."""
    by_set = {name: arms(find([root / "presets" / name]).runs) for name in JUDGED}
    print(f"**presets**: test {METRIC}, seeds in brackets; differences with 95% intervals\n")
    print(f"| arm | {' | '.join(by_set)} | mean of the sets |\n| --- |" + " --- |" * (len(by_set) + 1))
    for arm in PRESETS:
        told = [named(of, arm) for of in by_set.values()]
        cells = [f"{one.means(METRIC).mean():.4f} ({len(one.runs)})" for one in told]
        print(f"| {arm} | {' | '.join(cells)} | {np.mean([one.means(METRIC).mean() for one in told]):.4f} |")
    for new, old in (*((arm, "in_batch") for arm in list(PRESETS)[1:]), ("random", "bm25"), ("mined", "random")):
        there = [contrast(of, new, old) for of in by_set.values()]
        print(f"| {new} - {old} | {' | '.join(map(said, there))} | {mean_of(there)} |")
    print(f"\n{spent(root, 'presets')}")


def around(root: Path) -> None:
    """The presets' numbers one at a time on the tuning sets, and what was judged of them."""
    print(f"**grid**: gain in dev {METRIC} points on the preset as it is, seeds in brackets; of that preset its dev\n")
    print(f"| group | arm | {' | '.join(TUNED)} | mean | |\n| --- | --- |" + " --- |" * (len(TUNED) + 2))
    candidates = grid.candidates(root)
    for group, (preset, by_arm) in grid.GROUPS.items():
        own = [dev_of(root, name, group) for name in TUNED]
        print(f"| {group} | {preset} {grid.BASE} | {' | '.join(own)} | | |")
        for arm in by_arm:
            gains = grid.gains(root, group, arm)
            if not gains:
                continue
            cells = [gain_of(root, name, group, arm) for name in TUNED]
            said_of = "candidate" if grid.passes(root, group, arm) else ""
            said_of = f"judged, {grid.time(root, group, arm):.2f}" if candidates.get(group) == arm else said_of
            print(f"| {group} | {arm} | {' | '.join(cells)} | {100 * np.mean(gains):+.1f} | {said_of} |")
    print(f"\n{spent(root, 'grid')}\n")
    judged_grid(root, candidates)


def dev_of(root: Path, name: str, group: str) -> str:
    """The dev metric of a preset as it is, its mean over the seeds."""
    runs = [grid.dev(root / grid.folder("grid", name, group, grid.BASE, seed)) for seed in grid.TUNED_SEEDS]
    there = [one for one in runs if one is not None]
    return f"{np.mean(there):.3f} ({len(there)})" if there else ""


def gain_of(root: Path, name: str, group: str, arm: str) -> str:
    """What an arm gains on one set, its mean over the seeds, in points."""
    by_seed = [grid.gain(root, name, group, arm, seed) for seed in grid.TUNED_SEEDS]
    there = [one for one in by_seed if one is not None]
    return f"{100 * np.mean(there):+.1f} ({len(there)})" if there else ""


def judged_grid(root: Path, candidates: Mapping[str, str]) -> None:
    """The one test on the confirmation sets: each candidate against its preset as it is."""
    together = 1 - 0.05 / len(grid.GROUPS)
    print(
        f"**judge_grid**: test {METRIC}, candidate - preset as it is, seeds in brackets; 95% intervals, of the mean at"
    )
    print(f"{100 * together:.1f}% beside it, which is 95% for the {len(grid.GROUPS)} groups together\n")
    print(f"| group | arm | {' | '.join(JUDGED)} | mean of the sets | | processor's time |")
    print("| --- | --- |" + " --- |" * (len(JUDGED) + 3))
    for group, arm in candidates.items():
        preset = grid.GROUPS[group][0]
        pairs = [
            (root / "presets" / name / preset, (root / grid.folder("judge_grid", name, group, arm, 1)).parent)
            for name in JUDGED
        ]
        if not all(new.is_dir() for _, new in pairs):
            continue
        by_set = [arms(find([old, new]).runs) for old, new in pairs]
        there = [contrast(of, "new", preset) for of in by_set]
        cells = [f"{said(one)} ({len(named(of, 'new').runs)})" for one, of in zip(there, by_set, strict=True)]
        whole = [mean_of(there), mean_of(there, together).partition(" ")[2]]
        print(f"| {group} | {arm} | {' | '.join([*cells, *whole])} | {times(pairs):.2f} |")
    print(f"\n{spent(root, 'judge_grid')}")


def times(pairs: Sequence[tuple[Path, Path]]) -> float:
    """How much more of the processor's time the second of each pair of folders took than the first, by their means."""
    old, new = (
        np.mean([[float(file.read_text()) for file in pair[side].glob("*/processor_seconds")] for pair in pairs])
        for side in (0, 1)
    )
    return float(new / old)


def spent(root: Path, *steps: str) -> str:
    """How many runs some steps had, and their time of one core."""
    seconds = [float(file.read_text()) for one in steps for file in root.glob(f"{one}/**/processor_seconds")]
    return f"{len(seconds)} runs, {sum(seconds) / 60:.0f} minutes of one core"


def named(of: Mapping, arm: str) -> Arm:
    """The arm of `strategy_name=ARM`, whose settings may be in its name too."""
    return next(one for name, one in of.items() if name.split()[0] == arm + LOSS)


def contrast(of: Mapping, new: str, old: str) -> Difference:
    """The difference of two arms on one set, by their strategy's name."""
    one, other = named(of, new).name, named(of, old).name
    return compare("", of, ComparisonPlan(METRIC, other, [], None, 0.01, None)).contrasts[one].difference


def rate_of(one: Arm) -> float:
    """The rate of an arm."""
    return float(next(iter(one.runs.values())).config["optimizer.lr"])


def steps_of(one: Arm) -> int:
    """The steps of an arm."""
    return next(iter(one.runs.values())).summary["steps"]


def mean(of: Mapping, arm: str) -> str:
    """The mean over the seeds, and how many there are."""
    return "" if (one := of.get(arm + LOSS)) is None else f"{one.means(METRIC).mean():.3f} ({len(one.runs)})"


def difference(of: Mapping, new: str, old: str) -> Difference | None:
    """The difference of two arms on one set, by `hardneg compare`'s statistics; None where an arm is missing."""
    if new + LOSS not in of or old + LOSS not in of:
        return None
    return compare("", of, ComparisonPlan(METRIC, old + LOSS, [], None, 0.01, None)).contrasts[new + LOSS].difference


def said(one: Difference | None) -> str:
    """A difference with its interval, in points."""
    return "" if one is None else in_points(one.mean, *one.interval())


def in_points(middle: float, low: float, high: float) -> str:
    """Numbers as points of the metric."""
    return f"{100 * middle:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def mean_of(differences: Sequence[Difference], level: float = 0.95) -> str:
    """The mean over independent sets, each counting the same, of these sets and not of others."""
    variances = np.array([one.error**2 for one in differences])
    error = np.sqrt(variances.sum()) / len(variances)
    freedom = variances.sum() ** 2 / sum(v**2 / one.freedom for v, one in zip(variances, differences, strict=True))
    middle, half = (
        float(np.mean([one.mean for one in differences])),
        float(stats.t.ppf((1 + level) / 2, freedom) * error),
    )
    return in_points(middle, middle - half, middle + half)


if __name__ == "__main__":
    tables = {"tuned": tuned, "judged": judged, "rates": by_steps, "presets": presets, "grid": around}
    tables |= {"minilm": transformer, "minilm_unused": transformer_unused, "minilm_batch": transformer_batch}
    tables[sys.argv[2]](Path(sys.argv[1]))
