"""Which arm dev chooses on each set, and what another set's choice costs there.

usage: transfer.py DATA OUT [START]      (as study/run.py; writes START-transfer.md)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import contrasts  # noqa: E402
import design  # noqa: E402
import table  # noqa: E402


def main(data: Path, out: Path, start: str) -> None:
    """Write the table: chosen on the row's set, used on the column's."""
    study = design.read(HERE, data)
    sets = [one for name in study.sets if (one := contrasts.load(study, out, start, name)) is not None]
    chosen = {one.data: max(one.arms, key=lambda arm: dev(one, arm)) for one in sets}
    lines = [
        "| chosen by dev of | arm | " + " | ".join(one.data for one in sets) + " |",
        "|" + " --- |" * (len(sets) + 2),
    ]
    for source in sets:
        arm = chosen[source.data]
        cells = [cost(one, arm, chosen[one.data], study.metric) for one in sets]
        lines.append(f"| {source.data} | {arm} | " + " | ".join(cells) + " |")
    said = f"Points of test {study.metric} against the column's own choice; 95% intervals, not corrected."
    lines += ["", said]
    text = "\n".join([*lines, ""])
    (HERE / f"{start}-transfer.md").write_text(text, encoding="utf-8")
    print(text)


def dev(one: contrasts.OneSet, arm: str) -> float:
    """The mean dev metric over seeds."""
    return float(np.mean([run.summary["dev"]["best"] for run in one.arms[arm].runs.values()]))


def cost(one: contrasts.OneSet, arm: str, own: str, metric: str) -> str:
    """What the arm gains or loses against the set's own choice."""
    if arm == own:
        return "own choice"
    d = contrasts.test(one, {arm: 1, own: -1}, metric)
    return "" if d is None else table.points(d)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
