"""Which setting dev chooses on each set, and what another set's choice costs there.

usage: transfer.py DATA OUT [START]      (as study/run.py; writes START-transfer.md)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import contrasts  # noqa: E402
import design  # noqa: E402
import table  # noqa: E402

from hardneg.compare.arms import Arm  # noqa: E402
from hardneg.compare.statistics import Components, Difference  # noqa: E402

NOTHING = Difference(0.0, 0.0, 1e6, 0, 0, Components(0.0, 0.0, 0.0))  # a choice against itself


def main(data: Path, out: Path, start: str) -> None:
    """Write the tables: chosen on the row's set, used on the column's."""
    study = design.read(HERE, data, start)
    sets = [one for name in study.sets if (one := contrasts.load(study, out, start, name)) is not None]
    chosen = {one.data: max(one.arms, key=lambda arm: dev(one.arms[arm])) for one in sets}
    parts = [
        f"**The arm alone, at the rate that the column's dev chose for it.** {said(study.metric)} The mean is of the"
        " other sets, taken as given.",
        costs(sets, [(name, arm, arm, name) for name, arm in chosen.items()], chosen, study.metric),
        "**One arm for all sets**, against each set's own choice; the mean is of all sets.",
        costs(sets, [("", arm, arm, "") for arm in study.arms], chosen, study.metric),
    ]
    alone = [with_rates(one, study.seeds[0]) for one in sets]
    both = {one.data: max(one.arms, key=lambda arm: dev(one.arms[arm])) for one in alone}
    rows = [(name, label, label, name) for name, label in both.items()]
    parts += [f"**Arm and rate together**, seed {study.seeds[0]} alone: intervals know nothing of other seeds."]
    parts += [costs(alone, rows, both, study.metric)]
    text = "\n\n".join(parts) + "\n"
    (HERE / f"{start}-transfer.md").write_text(text, encoding="utf-8")
    print(text)


def said(metric: str) -> str:
    """What the cells of a table are."""
    return f"Points of test {metric}; intervals of 95%, not corrected."


def dev(arm: Arm) -> float:
    """The mean dev metric over seeds."""
    return float(np.mean([run.summary["dev"]["best"] for run in arm.runs.values()]))


def with_rates(one: contrasts.OneSet, seed: int) -> contrasts.OneSet:
    """The same set with an arm for each arm and rate, of one seed, which tried all rates."""
    found = {
        f"{arm} at {rate:g}": Arm(f"{arm} at {rate:g}", {seed: run})
        for arm, by_rate in one.runs.items()
        for rate, runs in by_rate.items()
        for run in runs
        if run.seed == seed
    }
    return replace(one, arms=found, spread=None)


def costs(
    sets: Sequence[contrasts.OneSet], rows: Sequence[tuple[str, str, str, str]], own: Mapping[str, str], metric: str
) -> str:
    """One table; a row is where it was chosen, what it is called, the arm, and the set that is left out of its mean."""
    head = ["chosen by dev of", "setting", *(one.data for one in sets), "mean"]
    head, skip = (head, 0) if rows[0][0] else (head[1:], 1)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for source, label, arm, left_out in rows:
        found = {one.data: cost(one, arm, own[one.data], metric) for one in sets}
        cells = ["own choice" if own[name] == arm else shown(d) for name, d in found.items()]
        others = [d for name, d in found.items() if d is not None and name != left_out]
        complete = len(others) == len(sets) - bool(left_out)
        lines.append("| " + " | ".join([source, label, *cells, mean(others) if complete else ""][skip:]) + " |")
    return "\n".join(lines)


def cost(one: contrasts.OneSet, arm: str, own: str, metric: str) -> Difference | None:
    """What the arm gains or loses against the set's own choice; None where it was not run."""
    return NOTHING if arm == own else contrasts.test(one, {arm: 1, own: -1}, metric)


def shown(d: Difference | None) -> str:
    """The cell of a difference."""
    return "" if d is None else table.points(d)


def mean(found: Sequence[Difference]) -> str:
    """The mean over sets."""
    if not found or all(d.error == 0 for d in found):
        return "0"
    middle, low, high = (100 * x for x in contrasts.over_sets(found))
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
