"""The tables and the figure of a start, of what is there: `static.md`, `static.png`; `transformer.md`, ..."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plan

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "study"))

from contrasts import Contrast, over_sets  # noqa: E402
from judge import METRIC, Judge  # noqa: E402
from plan import Plan  # noqa: E402
from table import points  # noqa: E402

from hardneg.compare import statistics  # noqa: E402
from hardneg.compare.figures import COLOURS  # noqa: E402
from hardneg.compare.p_values import written  # noqa: E402
from hardneg.system.figure_style import style  # noqa: E402

NAMES = {
    "theirs": "sentence-transformers, best of its tries",
    "defaults": "hardneg, defaults",
    "tuned": "hardneg, best of its tries",
    "race": "hardneg, what a race takes",
}


@dataclass(frozen=True)
class OneSet:
    """The runs of one set: of each arm its try, and its runs by seed, the same for all arms; and the contrasts."""

    name: str
    tries: dict[str, str]
    runs: dict[str, list[dict[str, Any]]]
    found: list[Contrast]
    queries: int  # test queries, those that share a positive counted once


def load(data: Path, of: Plan, name: str) -> OneSet | None:
    """Read what is done of a set; None where no seed has all arms."""
    try:
        arms = of.arms(name)
    except FileNotFoundError:
        return None
    files = {arm: [of.result(name, side, one, seed) for seed in plan.SEEDS] for arm, (side, one, _) in arms.items()}
    done = [number for number in range(len(plan.SEEDS)) if all(of_arm[number].exists() for of_arm in files.values())]
    if not done:
        return None
    runs = {arm: [plan.read(of_arm[number]) for number in done] for arm, of_arm in files.items()}
    test = {arm: np.array([run["test"] for run in of_arm]) for arm, of_arm in runs.items()}
    tries = {arm: one for arm, (_, one, _) in arms.items()}
    spread = statistics.pooled_seed_variance(np.stack([test[arm].mean(axis=1) for arm in different(tries)]))
    clusters = Judge(data / name).clusters()
    found = []
    for one, other in [*plan.PRIMARY, *([plan.RACED] if "race" in arms else [])]:
        d = statistics.by_cluster(test[one] - test[other], clusters)
        found.append(Contrast(f"{one} - {other}", name, statistics.crossed(d, spread)))
    return OneSet(name, tries, runs, found, len(np.unique(clusters)))


def different(tries: dict[str, str]) -> list[str]:
    """The arms, without one that is another's try again."""
    return [arm for number, arm in enumerate(tries) if tries[arm] not in list(tries.values())[:number]]


def write(data: Path, of: Plan) -> None:
    """Write the tables and the figure of a start."""
    sets = [one for name in of.start.budget if (one := load(data, of, name)) is not None]
    if not sets:
        print("nothing is finished")
        return
    parts = [f"# Equal time, start: {of.name}", levels(of, sets), tested(sets), tries(of, sets), races(of, sets)]
    text = "\n\n".join(filter(None, [*parts, longer(of, sets), costs(of)])) + "\n"
    (HERE / f"{of.name}.md").write_text(text, encoding="utf-8")
    print(text)
    draw(HERE / f"{of.name}.png", sets)


def levels(of: Plan, sets: list[OneSet]) -> str:
    """The mean of each arm, with the try that dev chose."""
    lines = [f"## Test {METRIC}, mean over {len(plan.SEEDS)} seeds (try, steps)", ""]
    lines += [head(["arm", *(f"{one.name}, {of.start.budget[one.name]:g} s" for one in sets)])]
    for arm, said in NAMES.items():
        cells = [said]
        if not all(arm in one.runs for one in sets):
            continue
        for one in sets:
            mean = np.mean([run["test"] for run in one.runs[arm]])
            steps = np.mean([run["steps"] for run in one.runs[arm]])
            cells.append(f"{mean:.4f} ({one.tries[arm]}; {steps:.0f})")
        lines.append(row(cells))
    counts = ", ".join(f"{one.name} {len(one.runs['theirs'])} and {one.queries:,}" for one in sets)
    return "\n".join([*lines, "", f"Seeds, and test queries (those that share a positive count once): {counts}."])


def tested(sets: list[OneSet]) -> str:
    """The contrasts named before: on each set, corrected over all, and on the mean of the sets."""
    found = [contrast for one in sets for contrast in one.found]
    corrected = statistics.holm([one.difference.p for one in found])
    holm = {(one.name, one.data): p for one, p in zip(found, corrected, strict=True)}
    lines = [f"## Contrasts, points; smallest effect of interest {100 * plan.SMALLEST:g} on the mean", ""]
    lines += [head(["contrast", "set", "difference and 95% interval", "p Holm", "verdict"])]
    for one, other in [*plan.PRIMARY, plan.RACED]:
        mine = [each for each in found if each.name == f"{one} - {other}"]
        if len(mine) < len(sets):
            continue
        for each in mine:
            each = Contrast(each.name, each.data, each.difference, holm[each.name, each.data])
            cells = [each.name, each.data, points(each.difference), written(each.p_holm), each.verdict(plan.SMALLEST)]
            lines.append(row(cells))
        if len(mine) > 1:
            mean, low, high = (100 * x for x in over_sets([each.difference for each in mine]))
            lines.append(
                row(
                    [
                        mine[0].name,
                        f"**mean of {len(mine)} sets**",
                        f"**{mean:+.2f}** [{low:+.2f}, {high:+.2f}]",
                        "",
                        "",
                    ]
                )
            )
    return "\n".join([*lines, "", f"Holm over {len(found)} contrasts. Intervals are not corrected."])


def tries(of: Plan, sets: list[OneSet]) -> str:
    """What dev said of every try."""
    lines = [f"## Tries: dev {METRIC}, seed {plan.SEEDS[0]} (steps)"]
    for side in plan.SIDES:
        lines += ["", head([f"{side}, place", *(one.name for one in sets)])]
        names = {one.name: list(of.tries(one.name, side)) for one in sets}
        for number in range(max(map(len, names.values()))):
            cells = [str(number + 1)]
            for one in sets:
                if number >= len(names[one.name]):
                    cells.append("")
                    continue
                name = names[one.name][number]
                run = plan.read(of.result(one.name, side, name, plan.SEEDS[0]))
                cells.append(f"{name}: {run['points'][-1][1]:.4f} ({run['steps']})")
            lines.append(row(cells))
    return "\n".join(lines)


def races(of: Plan, sets: list[OneSet]) -> str:
    """What each race said."""
    said = [(one.name, plan.read(of.race(one.name))) for one in sets if of.race(one.name).exists()]
    lines = [row([name, f"{one['spent_seconds']:.0f} s", one["why"]]) for name, one in said]
    own = {name: words for name, words in of.start.race_on.items() if name in dict(said)}
    more = "".join(f"; on {name} also `{' '.join(words)}`" for name, words in own.items())
    top = f"## Races, wall time: `{' '.join(of.start.race)}`{more}\n\n" + head(["set", "spent", "said"])
    return "\n".join([top, *lines]) if lines else ""


def longer(of: Plan, sets: list[OneSet]) -> str:
    """What more time does, where it was given."""
    lines = []
    there = [one.name for one in sets]
    for data, seconds in of.start.longer.items():
        for side, name in [(each, name) for each in plan.SIDES if data in there for name in of.longer(data, each)]:
            path = of.result(data, side, name, plan.SEEDS[0], seconds)
            if path.exists():
                of_both = [plan.read(of.result(data, side, name, plan.SEEDS[0])), plan.read(path)]
                cells = [f"{run['points'][-1][1]:.4f}, {np.mean(run['test']):.4f}" for run in of_both]
                lines.append(row([data, side, name, *cells]))
    if not lines:
        return ""
    said = ", ".join(f"{data} {of.start.budget[data]:g} and {more:g}" for data, more in of.start.longer.items())
    top = head(["set", "side", "try", "dev, test", "dev, test in the longer time"])
    return "\n".join([f"## More time, exploratory: one seed, seconds {said}", "", top, *lines])


def costs(of: Plan) -> str:
    """What it took, but for the races."""
    done = [plan.read(file) for side in plan.SIDES for file in of.out.glob(f"*/{side}/*/*.json")]
    counted, whole = sum(one["points"][-1][0] for one in done), sum(one["processor"] for one in done)
    return (
        f"{len(done)} trainings, {whole / 60:.0f} minutes of one processor, of which {counted / 60:.0f} counted (the"
        " others: reading, loading weights, evaluation)."
    )


def head(cells: list[str]) -> str:
    """The head of a table."""
    return row(cells) + "\n|" + " --- |" * len(cells)


def row(cells: list[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


@style()
def draw(path: Path, sets: list[OneSet]) -> None:
    """Draw dev over time of the seed that looks at it, set by set, and the first contrast on test."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(sets) + 3.4, 3.4), layout="constrained")
    panels = figure.subplots(1, len(sets) + 1, width_ratios=[1.0] * len(sets) + [1.3])
    for panel, one in zip(panels, sets, strict=False):
        for number, (arm, said) in enumerate(NAMES.items()):
            looks = next((run["points"] for run in one.runs.get(arm, []) if len(run["points"]) > 1), [])
            if looks:
                seconds, values = zip(*looks, strict=True)
                panel.plot(seconds, values, "o-", color=COLOURS[number], markersize=4, label=said)
        panel.set(title=one.name, xlabel="processor seconds", xlim=(0, None))
    panels[0].set_ylabel(f"dev {METRIC} (seed {plan.SEEDS[1]})")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=min(len(NAMES), len(sets) + 1),
        fontsize=8,
    )
    last = panels[-1]
    rows = [
        (one.name, *(100 * x for x in (one.found[0].difference.mean, *one.found[0].difference.interval())))
        for one in sets
    ]
    if len(sets) > 1:
        rows.append(("mean", *(100 * x for x in over_sets([one.found[0].difference for one in sets]))))
    for number, (_, mean, low, high) in enumerate(rows):
        last.plot([low, high], [number, number], color=COLOURS[2])
        last.plot([mean], [number], "o", color=COLOURS[2])
    last.axvline(0, color="#888888", linewidth=0.8)
    last.set_yticks(range(len(rows)), [name for name, *_ in rows])
    last.invert_yaxis()
    last.set(title="both at their best try, test", xlabel=f"hardneg ahead, points of {METRIC}")
    figure.savefig(path)
