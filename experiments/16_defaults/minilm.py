"""The learning rate of MiniLM: what is tried on two tuning sets, the rule, and its one test on two confirmation sets.

The rule, written before any of it was run: of the rates, each with 30 and with 90 steps of 64 queries, the one with
the best mean of dev over both sets and lengths is judged once on the test queries of the other two, on three seeds. It
becomes the default of `encoder=minilm` if it gains 0.5 points on their mean, the 95% interval of that lies above 0, and
neither set's lies below. Conala is a tuning set because 22_equal_time had shown of it that 1e-4 is better than 2e-5 in
four minutes; the confirmation sets are of other domains. The batch stays at 64.

That refused 2e-4, and 5e-5, explored on the same sets, was better than 2e-5 on all of them. So a second rule, written
before any run of it: 5e-5 is judged once against 2e-5 on the test queries of three sets that no rate was tried on, 30
steps, three seeds. It becomes the default if the 95% interval of its gain on their mean lies above 0 and no set's lies
below. Half a point is not asked for again: a rate costs nothing, so a small gain is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import summaries

TUNED, JUDGED = ("conala", "nl2bash"), ("or-sharc", "squad-sent")
SEEDS = (1, 2, 3)  # of the confirmation sets; the tuning sets have the first
OLD = 2e-5
RATES = (2e-5, 5e-5, 1e-4, 2e-4)
STEPS, JUDGED_STEPS = (30, 90), 60
EXPLORED = 5e-5
UNUSED, UNUSED_STEPS = ("obliqa", "scifact", "nfcorpus-proc"), 30  # 30 steps: hours of one core as it is
COMMON = ["data=beir", "data.dev_share=0.2", "encoder=minilm", "strategy=in_batch", "batch_size=64", "logger=csv"]
COMMON += ["trainer.precision=32-true", "trainer.max_epochs=-1", "trainer.enable_progress_bar=false"]
COMMON += ["evaluate.before=false", "evaluate.bm25=null"]
COMMON += ["evaluate.every_n_epochs=100000"]  # dev is evaluated at the end all the same
Run = tuple[str, list[str]]  # its folder below OUT, STEP/SET/ARM/SEED, and its words


def tuned() -> Iterator[Run]:
    """Runs on the tuning sets, the short ones first."""
    for steps, name, rate in product(STEPS, TUNED, RATES):
        words = [f"optimizer.lr={rate}", f"trainer.max_steps={steps}", "seed=1", "split.test=null"]
        yield folder(name, steps, rate), [*COMMON, *words]


def judged(out: Path) -> Iterator[Run]:
    """Runs on the confirmation sets: the rate that was the default, and the one that the rule has judged."""
    best = chosen(out)
    arms = {"old": OLD} if best == OLD else {"old": OLD, "new": best}
    for seed, name, (arm, rate) in product(SEEDS, JUDGED, arms.items()):
        words = [f"optimizer.lr={rate}", f"trainer.max_steps={JUDGED_STEPS}", f"seed={seed}", f"strategy_name={arm}"]
        yield f"judge_minilm/{name}/{arm}/{seed}", [*COMMON, *words, "split.dev=null"]


def explored() -> Iterator[Run]:
    """Runs of a rate between these two on those sets, one seed: chosen when the others were known."""
    for name in JUDGED:
        words = [f"optimizer.lr={EXPLORED}", f"trainer.max_steps={JUDGED_STEPS}", "seed=1"]
        yield f"explore_minilm/{name}/{EXPLORED:g}/1", [*COMMON, *words, "split.dev=null"]


def explored_judged() -> Iterator[Run]:
    """Runs of the explored rate and of the default on sets that no rate was tried on."""
    for seed, name, (arm, rate) in product(SEEDS, UNUSED, {"old": OLD, "new": EXPLORED}.items()):
        words = [f"optimizer.lr={rate}", f"trainer.max_steps={UNUSED_STEPS}", f"seed={seed}", f"strategy_name={arm}"]
        yield f"judge_explored_minilm/{name}/{arm}/{seed}", [*COMMON, *words, "split.dev=null"]


def folder(name: str, steps: int, rate: float) -> str:
    """Where a run on a tuning set is."""
    return f"minilm/{name}/{steps}_steps_at_{rate:g}/1"


def chosen(out: Path) -> float:
    """The rate with the best mean of dev over sets and lengths."""
    return max(RATES, key=lambda rate: np.mean([dev(out, name, steps, rate) for name, steps in product(TUNED, STEPS)]))


def dev(out: Path, name: str, steps: int, rate: float) -> float:
    """The dev metric of a run; not a number where it was not run."""
    return dev_of(out / folder(name, steps, rate))


def dev_of(run: Path) -> float:
    """The same of a folder."""
    best = summaries.dev(run)
    return float("nan") if best is None else best


def table(out: Path) -> None:
    """Print dev of the tuning sets by steps and rate."""
    print("**minilm**: dev ndcg@10 by optimiser steps of 64 queries and rate; one seed\n")
    print(f"| set | steps | {' | '.join(f'{rate:g}' for rate in RATES)} |\n| --- | --- |" + " --- |" * len(RATES))
    for steps, name in product(STEPS, TUNED):
        print(f"| {name} | {steps} | {in_cells(dev(out, name, steps, rate) for rate in RATES)} |")
    print(f"\nJudged: {chosen(out):g} against {OLD:g}.\n")


def in_cells(values: Iterable[float]) -> str:
    """Numbers as cells of a table; empty where a run was not made."""
    return " | ".join("" if np.isnan(one) else f"{one:.4f}" for one in values)


def explored_table(out: Path) -> None:
    """Print test of the sets that were judged by rate, with the rate that was explored, seed 1."""
    rates = sorted({OLD: "judge_minilm/{}/old/1", chosen(out): "judge_minilm/{}/new/1"}.items())
    rates.insert(1, (EXPLORED, f"explore_minilm/{{}}/{EXPLORED:g}/1"))
    print(f"**explore_minilm**: test ndcg@10, {JUDGED_STEPS} steps, seed 1\n")
    print(f"| set | {' | '.join(f'{rate:g}' for rate, _ in rates)} |\n| --- |" + " --- |" * len(rates))
    for name in JUDGED:
        print(f"| {name} | {' | '.join(tested(out / folder.format(name)) for _, folder in rates)} |")
    print()


def tested(run: Path) -> str:
    """The test metric of a run; empty where it was not run."""
    summary = summaries.of(run)
    return "" if summary is None else f"{summary['test']['after']['ndcg@10']:.4f}"
