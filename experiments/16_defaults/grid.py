"""The presets' numbers, one at a time around what they are: what is tried, and by what rule one is changed.

The rule was written down before any arm of this grid was run on a confirmation set. On the tuning sets' dev queries a
number is a *candidate* where the mean over the four sets, of two seeds paired with the preset as it is, gains at least
`GAIN`, no set loses more than `LOSS`, and it takes no more than `TIME` times the processor's time. Of each group of
arms the best candidate alone is judged, on the test queries of the confirmation sets, `SEEDS` of both. It becomes the
default where the interval of the mean over these sets, at 95% for all groups together (Bonferroni), lies above 0, the
mean is at least `GAIN`, and no set's 95% interval lies below 0. The second seed is run for what gained at least half of
`GAIN` with the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from judged import PRESETS
from summaries import dev

Run = tuple[str, list[str]]  # its folder below OUT, STEP/SET/ARM/SEED, and its words

TUNED = ("or-sharc", "scifact", "nl2bash", "medquad")
JUDGED = ("conala", "nfcorpus-proc", "obliqa", "squad-sent")
TUNED_SEEDS, SEEDS = (1, 2), (1, 2, 3)
GAIN, LOSS, TIME = 0.005, 0.01, 1.5
COMMON = ["batch_size=auto", "encoder.lr=auto", "evaluate.every_n_epochs=3"]  # 3 epochs: dev at the end alone
BASE = "as it is"  # the preset as it was then

# Of each group, which has a preset, the arms by name and what they add to its words.
GROUPS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "temperature": (
        "in_batch",
        {f"temperature {t:g}": [f"loss.infonce.temperature={t}"] for t in (0.02, 0.03, 0.07, 0.1)},
    ),
    "random": ("random", {f"k {k}": [f"negatives.random.k={k}"] for k in (1, 2, 8, 16)}),
    "bm25": (
        "bm25",
        {
            **{f"k {k}": [f"negatives.bm25.k={k}"] for k in (1, 8)},
            "of the first 20": ["negatives.bm25.pool=20"],
            "below rank 10": ["filter=[known_positives,rank_window]"],
        },
    ),
    "mined": (
        "mined",
        {
            "k 8": ["negatives.mined.k=8"],
            "after an epoch": ["remine.warmup_epochs=1"],
            "margin .2": ["filter.relative_margin.margin=0.2"],
            "no margin": ["filter=[known_positives]"],
            "below rank 10": ["filter=[known_positives,relative_margin,rank_window]"],
            "of the first 30": ["negatives.mined.pool=30"],
            "k 1": ["negatives.mined.k=1"],
        },
    ),
    "warmup": ("in_batch", {f"warm-up {share:g}": [f"schedule.warmup={share}"] for share in (0, 0.3)}),
}


def tuned(out: Path) -> Iterator[Run]:
    """Runs on the tuning sets: of each group a seed of all arms, then the other of those that are worth it."""
    for group, (_, arms) in GROUPS.items():
        yield from _of(group, [BASE, *arms], TUNED_SEEDS[0])
        worth = [arm for arm in arms if np.mean(gains(out, group, arm, TUNED_SEEDS[:1])) >= GAIN / 2]
        yield from _of(group, [BASE, *worth] if worth else [], TUNED_SEEDS[1])


def _of(group: str, arms: Sequence[str], seed: int) -> Iterator[Run]:
    for arm, name in product(arms, TUNED):
        yield folder("grid", name, group, arm, seed), [*words(group, arm), f"seed={seed}", "split.test=null"]


def judged(out: Path) -> Iterator[Run]:
    """Runs on the confirmation sets: each candidate; its preset as it is was run by the step `presets`."""
    for seed, (group, arm), name in product(SEEDS, candidates(out).items(), JUDGED):
        yield folder("judge_grid", name, group, arm, seed), [*words(group, arm), f"seed={seed}", "strategy_name=new"]


def words(group: str, arm: str) -> list[str]:
    """The words of an arm."""
    preset, arms = GROUPS[group]
    return [*COMMON, *PRESETS[preset], *arms.get(arm, ())]


def folder(step: str, name: str, group: str, arm: str, seed: int) -> str:
    """Where a run is; presets as they are, once for the groups that share one."""
    kept = f"{GROUPS[group][0]}_as_it_is" if arm == BASE else f"{group}_{arm.replace(' ', '_')}"
    return f"{step}/{name}/{kept}/{seed}"


def candidates(out: Path) -> dict[str, str]:
    """Of each group the arm that the rule has judged, if any."""
    found = {}
    for group, (_, arms) in GROUPS.items():
        passed = {arm: np.mean(gains(out, group, arm)) for arm in arms if passes(out, group, arm)}
        if passed:
            found[group] = max(passed, key=lambda arm: passed[arm])
    return found


def passes(out: Path, group: str, arm: str) -> bool:
    """Whether an arm is a candidate; it is none before it was run with all seeds on all sets."""
    if any(gain(out, name, group, arm, seed) is None for name, seed in product(TUNED, TUNED_SEEDS)):
        return False
    own = gains(out, group, arm)
    return float(np.mean(own)) >= GAIN and min(own) >= -LOSS and time(out, group, arm) <= TIME


def time(out: Path, group: str, arm: str) -> float:
    """How many times the processor's time of its preset an arm takes, on the mean of the tuning sets and the seeds."""
    both = [
        [
            float((out / folder("grid", name, group, one, seed) / "processor_seconds").read_text())
            for name, seed in product(TUNED, TUNED_SEEDS)
        ]
        for one in (arm, BASE)
    ]
    return sum(both[0]) / sum(both[1])


def gains(out: Path, group: str, arm: str, seeds: Sequence[int] = TUNED_SEEDS) -> list[float]:
    """What an arm gains on its preset, by set: the mean over the seeds that both have, if there is one."""
    by_set = [[gain(out, name, group, arm, seed) for seed in seeds] for name in TUNED]
    there = [[one for one in own if one is not None] for own in by_set]
    return [float(np.mean(own)) for own in there if own]


def gain(out: Path, name: str, group: str, arm: str, seed: int) -> float | None:
    """What an arm gains on its preset with one seed on one set; None where either was not run."""
    new, old = (dev(out / folder("grid", name, group, one, seed)) for one in (arm, BASE))
    return None if new is None or old is None else new - old
