"""How hard the mined negatives are as training goes on: loss share, similarity and hit rate by thirds of the training.

usage: decay.py DATA OUT [START]      (as study/run.py; writes START-decay.md)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import design  # noqa: E402
import table  # noqa: E402

from hardneg.compare.one_run import FinishedRun  # noqa: E402

WHAT = {
    "similarity to the query": "negatives/mined/similarity",
    "margin of the positive": "negatives/mined/margin",
    "loss of the mined": "negatives/mined/loss",
}
EPOCHS = (2, 4, 6)


def main(data: Path, out: Path, start: str) -> None:
    """Write one table a set."""
    head = ["arm", *(f"{what}, epochs {', '.join(map(str, EPOCHS))}" for what in WHAT), "processor seconds"]
    table.by_set(design.read(HERE, data), out, start, "decay", head, line)


def line(arm: str, runs: list[FinishedRun]) -> str:
    """One arm, if it has mined negatives."""
    if not runs[0].history("negatives/mined/margin")[1]:
        return ""
    cells = [
        ", ".join(f"{np.mean([at(run, key, epoch) for run in runs]):.2f}" for epoch in EPOCHS) for key in WHAT.values()
    ]
    seconds = np.mean([float((run.folder / "processor_seconds").read_text()) for run in runs])
    return f"| {arm} | " + " | ".join(cells) + f" | {seconds:.0f} |"


def at(run: FinishedRun, key: str, epoch: int) -> float:
    """The mean of a metric over one epoch of six."""
    steps, values = (np.array(x) for x in run.history(key))
    share = steps / run.summary["steps"] * 6
    inside = (share > epoch - 1) & (share <= epoch)
    return float(values[inside].mean()) if inside.any() else float("nan")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
