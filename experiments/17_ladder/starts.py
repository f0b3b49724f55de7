"""What a contrast is worth from each start, and how far starts differ in it: study.yaml's `between_starts`.

usage: starts.py DATA OUT      (as study/run.py; writes starts_SET.md for each set that several starts have)
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

from omegaconf import OmegaConf

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import contrasts  # noqa: E402
import design  # noqa: E402
import table  # noqa: E402

from hardneg.compare import statistics  # noqa: E402
from hardneg.compare.p_values import written  # noqa: E402
from hardneg.compare.statistics import Difference  # noqa: E402


def main(data: Path, out: Path) -> None:
    """Write the levels, the contrasts from each start, and their differences."""
    study = design.read(HERE, data)
    asked = OmegaConf.load(HERE / "study.yaml").between_starts
    for name, of_start in asked.sets.items():
        loaded = {start: contrasts.load(study, out, start, part) for start, part in of_start.items()}
        found = {start: one for start, one in loaded.items() if one is not None}
        if len(found) < 2:
            continue
        on = ", ".join(f"{start} on {of_start[start]}" for start in found)
        parts = [f"# 17_ladder by start: {on}", levels(study, found)]
        parts += [by_start(study, found), differences(study, found, list(asked.contrasts))]
        text = "\n\n".join(parts) + "\n"
        (HERE / f"starts_{name}.md").write_text(text, encoding="utf-8")
        print(text)


def levels(study: design.Study, found: dict[str, contrasts.OneSet]) -> str:
    """Each arm's mean over seeds."""
    lines = ["| arm | " + " | ".join(found) + " |", "|" + " --- |" * (len(found) + 1)]
    for arm in study.arms:
        cells = [f"{one.arms[arm].means(study.metric).mean():.4f}" if arm in one.arms else "" for one in found.values()]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    said = (f"{start}: seeds {of_seeds(one)}" for start, one in found.items())
    (groups,) = {len(set(one.clusters.tolist())) for one in found.values()}
    return "\n".join([*lines, "", "; ".join(said) + f". {groups:,} groups of test queries that share a positive."])


def of_seeds(one: contrasts.OneSet) -> str:
    """Those of every arm."""
    return ", ".join(map(str, sorted(set.union(*(set(arm.runs) for arm in one.arms.values())))))


def by_start(study: design.Study, found: dict[str, contrasts.OneSet]) -> str:
    """The study's contrasts from each start; p is corrected in START.md."""
    lines = ["| contrast, points | " + " | ".join(found) + " |", "|" + " --- |" * (len(found) + 1)]
    for name, weights in study.primary.items():
        cells = [contrasts.test(one, weights, study.metric) for one in found.values()]
        lines.append(f"| {name} | " + " | ".join("" if d is None else table.points(d) for d in cells) + " |")
    return "\n".join(lines)


def differences(study: design.Study, found: dict[str, contrasts.OneSet], names: list[str]) -> str:
    """How far two starts differ in a contrast: paired by seed and query, p by Holm over all of these."""
    rows: list[tuple[str, str, Difference]] = []
    for name in names:
        for first, second in combinations(found, 2):
            d = between(found[first], found[second], study.primary[name], study.metric)
            if d is not None:
                rows.append((name, f"{first} less {second}", d))
    corrected = statistics.holm([d.p for _, _, d in rows])
    lines = ["| contrast, points | starts | difference and 95% interval | p Holm |", "| --- | --- | --- | --- |"]
    for (name, starts, d), p in zip(rows, corrected, strict=True):
        lines.append(f"| {name} | {starts} | {table.points(d)} | {written(p)} |")
    return "\n".join([*lines, "", f"Holm over {len(rows)}. Intervals are not corrected."])


def between(
    first: contrasts.OneSet, second: contrasts.OneSet, weights: dict[str, float], metric: str
) -> Difference | None:
    """The contrast from the first start less that from the second; None where an arm is missing."""
    if any(arm not in one.arms for arm in weights for one in (first, second)):
        return None
    seeds = sorted(set.intersection(*(set(one.arms[arm].runs) for arm in weights for one in (first, second))))
    if not seeds:
        return None
    ids = [one.arms[next(iter(weights))].runs[seeds[0]].per_query.ids.tolist() for one in (first, second)]
    assert ids[0] == ids[1]
    d = sum(
        sign * weight * contrasts.values(one.arms[arm], seeds, metric)
        for sign, one in ((1, first), (-1, second))
        for arm, weight in weights.items()
    )
    return statistics.crossed(statistics.by_cluster(d, first.clusters), spread(first, second, weights))


def spread(
    first: contrasts.OneSet, second: contrasts.OneSet, weights: dict[str, float]
) -> statistics.SeedVariance | None:
    """What seeds do to the contrast, from both starts: variances add up, freedoms by Satterthwaite."""
    if first.spread is None or second.spread is None:
        return None
    share = sum(weight**2 for weight in weights.values()) / 2
    each = [(one.spread.value * share, one.spread.freedom) for one in (first, second) if one.spread is not None]
    value = sum(v for v, _ in each)
    off = sum(v**2 / f for v, f in each)
    return statistics.SeedVariance(value, max(int(value**2 / off), 1) if off else sum(f for _, f in each))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
