"""The batch of MiniLM: what is tried on two tuning sets, the rule, and its one test on two confirmation sets.

The rule, written before any of it was run: 32, 64 (the default) and 128 queries, each with 1,920 pairs in all, at
5e-5 (the default) and at 1e-4, on the dev queries of the tuning sets, one seed. The batch with the best mean over sets
and rates, if it is not 64, is judged once against 64 at 5e-5 on the test queries of the confirmation sets, three seeds.
It becomes the default if it gains 0.5 points on their mean, the 95% interval of that lies above 0, and neither set's
lies below. Pairs are equal, not seconds: what a transformer costs is its texts, whatever the batch they come in.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from minilm import COMMON, JUDGED, SEEDS, TUNED, Run, dev_of, in_cells

PAIRS = 1920
BATCHES, OLD = (32, 64, 128), 64
RATES, JUDGED_RATE = (5e-5, 1e-4), 5e-5


def words(batch: int, rate: float, seed: int) -> list[str]:
    """The words of a run."""
    steps = PAIRS // batch
    settings = [f"batch_size={batch}", f"optimizer.lr={rate}", f"trainer.max_steps={steps}", f"seed={seed}"]
    return [*(word for word in COMMON if not word.startswith("batch_size=")), *settings]


def tuned() -> list[Run]:
    """Runs on the tuning sets."""
    every = product(RATES, TUNED, BATCHES)
    return [(folder(name, batch, rate), [*words(batch, rate, 1), "split.test=null"]) for rate, name, batch in every]


def judged(out: Path) -> list[Run]:
    """Runs on the confirmation sets: the default and the batch that was chosen; none where that is the default."""
    if (best := chosen(out)) == OLD:
        return []
    arms = {"old": OLD, "new": best}
    return [
        (
            f"judge_minilm_batch/{name}/{arm}/{seed}",
            [*words(batch, JUDGED_RATE, seed), f"strategy_name={arm}", "split.dev=null"],
        )
        for seed, name, (arm, batch) in product(SEEDS, JUDGED, arms.items())
    ]


def folder(name: str, batch: int, rate: float) -> str:
    """Where a run on a tuning set is."""
    return f"minilm_batch/{name}/{batch}_at_{rate:g}/1"


def chosen(out: Path) -> int:
    """The batch with the best mean of dev over sets and rates."""
    return max(BATCHES, key=lambda batch: np.mean([dev(out, *run, batch) for run in product(TUNED, RATES)]))


def dev(out: Path, name: str, rate: float, batch: int) -> float:
    """The dev metric of a run; not a number where it was not run."""
    return dev_of(out / folder(name, batch, rate))


def table(out: Path) -> None:
    """Print dev of the tuning sets by rate and batch."""
    print(f"**minilm_batch**: dev ndcg@10 by batch, {PAIRS:,} pairs each; one seed\n")
    print(f"| set | rate | {' | '.join(map(str, BATCHES))} |\n| --- | --- |" + " --- |" * len(BATCHES))
    rows = [(name, f"{rate:g}", [dev(out, name, rate, one) for one in BATCHES]) for rate, name in product(RATES, TUNED)]
    rows.append(("mean", "", np.mean([cells for _, _, cells in rows], axis=0).tolist()))
    for name, rate, cells in rows:
        print(f"| {name} | {rate} | {in_cells(cells)} |")
    best = chosen(out)
    print(f"\nChosen: {best}" + (", the default.\n" if best == OLD else f"; judged against {OLD}.\n"))
