"""What a query was really set against, and whether training was calm: from the metrics of each run.

usage: stability.py DATA OUT [START]      (as study/run.py; writes START-stability.md)
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

HEAD = ("arm", "own hard : all others", "loss, first and last tenth", "gradient norm, median", "largest after warm-up")


def main(data: Path, out: Path, start: str) -> None:
    """Write one table a set."""
    table.by_set(design.read(HERE, data), out, start, "stability", HEAD, line)


def line(arm: str, runs: list[FinishedRun]) -> str:
    """One arm."""
    hard, others = (np.mean([count(run, names) for run in runs]) for names in (("mined",), ("random", "in_batch")))
    ratio = f"{hard:.0f} : {others:.0f}" + (f" (1 : {others / hard:.0f})" if hard and others else "")
    losses = [np.array(run.history("train/loss")[1]) for run in runs]
    tenth = max(len(losses[0]) // 10, 1)
    first, last = (
        np.mean([part.mean() for part in parts])
        for parts in zip(*((x[:tenth], x[-tenth:]) for x in losses), strict=True)
    )
    norms = [np.array(run.history("train/grad_norm")[1]) for run in runs]
    median = np.mean([np.median(x) for x in norms])
    largest = np.mean([x[len(x) // 10 + 1 :].max() for x in norms])
    return f"| {arm} | {ratio} | {first:.2f}, {last:.2f} | {median:.2f} | {largest:.2f} |"


def count(run: FinishedRun, names: tuple[str, ...]) -> float:
    """How many candidates of these sources a query had, over the training."""
    found = [
        np.mean(run.history(f"negatives/{name}/count")[1])
        for name in names
        if run.history(f"negatives/{name}/count")[1]
    ]
    return float(sum(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
