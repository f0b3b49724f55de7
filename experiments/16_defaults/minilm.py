"""The rate and the batch of MiniLM: what is tried on two tuned sets, the rule, and the one look at two judged ones.

The rule, written before any of it was run: of the rates, each with 30 and with 150 steps of 64 queries, the one with
the best mean of dev over both sets and lengths is judged once on the test queries of the other two, on three seeds. It
becomes the default of `encoder=minilm` if it gains 0.5 points on their mean, the 95% interval of that lies above 0, and
neither set's lies below. Another batch, at equal queries, each at its own best rate, is worth judging if it gains 0.5
points on the mean of dev. Of conala it was known that 1e-4 is better than 2e-5 in a minute (22_equal_time).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

TUNED, JUDGED = ("or-sharc", "nl2bash"), ("conala", "squad-sent")
SEEDS = (1, 2, 3)  # of the judged sets; the tuned ones have the first
OLD = 2e-5
RATES = (2e-5, 5e-5, 1e-4, 2e-4)
LENGTHS = {
    64: (30, 150),
    128: (75,),
    32: (300,),
}  # steps; the last two see the queries of 150 of 64
OTHERS = {128: (1e-4, 2e-4), 32: (5e-5, 1e-4)}  # the rates that other batches have, about the best of 64 with the root
JUDGED_STEPS = 100
COMMON = ["data=beir", "data.dev_share=0.2", "encoder=minilm", "strategy=in_batch", "logger=csv"]
COMMON += ["evaluate.before=false", "evaluate.bm25=null", "trainer.enable_progress_bar=false"]
COMMON += ["trainer.max_epochs=-1", "evaluate.every_n_epochs=100000"]  # dev is evaluated at the end all the same
Run = tuple[str, list[str]]  # its folder below OUT, STEP/SET/ARM/SEED, and its words


def tuned() -> Iterator[Run]:
    """Runs on the tuned sets: the rates of the usual batch, then the other batches."""
    for batch, lengths in LENGTHS.items():
        for steps, name, rate in product(lengths, TUNED, OTHERS.get(batch, RATES)):
            words = [f"batch_size={batch}", f"optimizer.lr={rate}", f"trainer.max_steps={steps}", "seed=1"]
            yield folder(name, batch, steps, rate), [*COMMON, *words, "split.test=null"]


def judged(out: Path) -> Iterator[Run]:
    """Runs on the judged sets: the rate that was the default, and the one that the rule has judged."""
    best = chosen(out)
    arms = {"old": OLD} if best == OLD else {"old": OLD, "new": best}
    for seed, name, (arm, rate) in product(SEEDS, JUDGED, arms.items()):
        words = [f"optimizer.lr={rate}", f"trainer.max_steps={JUDGED_STEPS}", f"seed={seed}", f"strategy_name={arm}"]
        yield f"judge_minilm/{name}/{arm}/{seed}", [*COMMON, *words]


def folder(name: str, batch: int, steps: int, rate: float) -> str:
    """Where a run on a tuned set is."""
    return f"minilm/{name}/{batch}_for_{steps}_at_{rate:g}/1"


def chosen(out: Path) -> float:
    """The rate with the best mean of dev over sets and lengths, of the usual batch."""
    cells = list(product(TUNED, LENGTHS[64]))
    return max(RATES, key=lambda rate: np.mean([dev(out, name, 64, steps, rate) for name, steps in cells]))


def dev(out: Path, name: str, batch: int, steps: int, rate: float) -> float:
    """The dev metric of a run; not a number where it was not run."""
    written = out / folder(name, batch, steps, rate) / "summary.json"
    return json.loads(written.read_text(encoding="utf-8"))["dev"]["best"] if written.exists() else float("nan")


def table(out: Path) -> None:
    """Print dev of the tuned sets by batch, steps and rate."""
    print("**minilm**: dev ndcg@10 by queries a batch, optimiser steps and rate; one seed\n")
    print(
        f"| queries a batch | steps | set | {' | '.join(f'{rate:g}' for rate in RATES)} |\n| --- | --- | --- |", end=""
    )
    print(" --- |" * len(RATES))
    for batch, lengths in LENGTHS.items():
        for steps, name in product(lengths, TUNED):
            cells = [dev(out, name, batch, steps, rate) for rate in RATES]
            print(f"| {batch} | {steps} | {name} | {' | '.join('' if np.isnan(c) else f'{c:.3f}' for c in cells)} |")
    print(f"\nJudged: {chosen(out):g} against {OLD:g}.\n")
