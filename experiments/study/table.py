"""The tables of a study, from its run folders: levels, primary contrasts, each arm against the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import contrasts
import design

from hardneg.compare.one_run import FinishedRun
from hardneg.compare.p_values import written
from hardneg.compare.statistics import Difference


def write(study: design.Study, out: Path, start: str) -> None:
    """Write `START.md` beside the study, of what is finished."""
    sets = [one for data in study.sets if (one := contrasts.load(study, out, start, data)) is not None]
    if not sets:
        print("nothing is finished")
        return
    parts = [f"# {study.folder.name}, start: {start}", levels(study, sets), tested(study, sets)]
    parts += [exploratory(study, sets), costs(study, out, start)]
    text = "\n\n".join(parts) + "\n"
    (study.folder / f"{start}.md").write_text(text, encoding="utf-8")
    print(text)


def by_set(
    study: design.Study,
    out: Path,
    start: str,
    kind: str,
    head: Sequence[str],
    line: Callable[[str, list[FinishedRun]], str],
) -> None:
    """Write `START-KIND.md`: one table a set, of which `line` makes an arm's line, empty for one that has none."""
    parts = []
    for data in study.sets:
        one = contrasts.load(study, out, start, data)
        if one is None:
            continue
        lines = [f"**{data}**, means over seeds", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        lines += filter(None, (line(arm, list(found.runs.values())) for arm, found in one.arms.items()))
        parts.append("\n".join(lines))
    text = "\n\n".join(parts) + "\n"
    (study.folder / f"{start}-{kind}.md").write_text(text, encoding="utf-8")
    print(text)


def points(d: Difference) -> str:
    """A difference in points with its interval, bold where that leaves out 0."""
    low, high = d.interval()
    mean = f"{100 * d.mean:+.2f}"
    return f"{f'**{mean}**' if low > 0 or high < 0 else mean} [{100 * low:+.2f}, {100 * high:+.2f}]"


def levels(study: design.Study, sets: Sequence[contrasts.OneSet]) -> str:
    """The mean of each arm, and the rate that dev chose."""
    lines = [f"## Test {study.metric}, mean over seeds (and the learning rate that dev chose)", ""]
    lines += ["| arm | " + " | ".join(one.data for one in sets) + " |", "|" + " --- |" * (len(sets) + 1)]
    for arm in study.arms:
        cells = []
        for one in sets:
            found = one.arms.get(arm)
            if found is None:
                cells.append("")
                continue
            run = next(iter(found.runs.values()))
            cells.append(f"{found.means(study.metric).mean():.4f} ({float(run.config['optimizer.lr']):g})")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    seeds = ", ".join(f"{one.data} {seeds_of(one)}" for one in sets)
    drawn = ", ".join(f"{one.data} {len(set(one.clusters.tolist())):,}" for one in sets)
    return "\n".join([*lines, "", f"Seeds: {seeds}. Test queries, those that share a positive counted once: {drawn}."])


def seeds_of(one: contrasts.OneSet) -> str:
    """How many seeds the arms of a set have, and which have fewer than others."""
    counts = {arm: len(found.runs) for arm, found in one.arms.items()}
    fewer = [f"{arm} {count}" for arm, count in counts.items() if count < max(counts.values())]
    return f"{max(counts.values())}" + (f" ({', '.join(fewer)})" if fewer else "")


def tested(study: design.Study, sets: Sequence[contrasts.OneSet]) -> str:
    """The contrasts named before."""
    asked = "margin of non-inferiority" if study.noninferior else "smallest effect of interest"
    lines = [f"## Primary contrasts, points; {asked} {100 * study.smallest:g}", ""]
    lines += ["| contrast | set | difference and 95% interval | p Holm | verdict |", "| --- | --- | --- | --- | --- |"]
    found = contrasts.primary(study, sets)
    for name in study.primary:
        mine = [one for one in found if one.name == name]
        for one in mine:
            cells = (name, one.data, points(one.difference), written(one.p_holm), one.verdict(study.smallest))
            lines.append("| " + " | ".join(cells) + " |")
        if len(mine) > 1 and study.mean:
            mean, low, high = (100 * x for x in contrasts.over_sets([one.difference for one in mine]))
            lines.append(f"| {name} | mean of {len(mine)} sets | {mean:+.2f} [{low:+.2f}, {high:+.2f}] | | |")
    said = f"Holm over {len(found)} contrasts. Intervals are not corrected."
    if study.noninferior:
        said += " p: one-sided, of being worse by the margin or more."
    return "\n".join([*lines, "", said])


def exploratory(study: design.Study, sets: Sequence[contrasts.OneSet]) -> str:
    """Every arm against the baseline, not corrected."""
    lines = [f"## Difference to {study.baseline}, points (exploratory, not corrected)", ""]
    lines += ["| arm | " + " | ".join(one.data for one in sets) + " |", "|" + " --- |" * (len(sets) + 1)]
    for arm in study.arms:
        if arm == study.baseline:
            continue
        found = [contrasts.test(one, {arm: 1, study.baseline: -1}, study.metric) for one in sets]
        lines.append(f"| {arm} | " + " | ".join("" if d is None else points(d) for d in found) + " |")
    return "\n".join(lines)


def costs(study: design.Study, out: Path, start: str) -> str:
    """What it took."""
    files = [file for data in study.sets for file in design.home(study, out, start, data).rglob("processor_seconds")]
    seconds = sum(float(file.read_text()) for file in files)
    return f"{len(files)} trainings, {seconds / 60:.0f} minutes of one processor."
