"""The learning rate by the number of steps: what is tried on tuning sets, and its one test on confirmation sets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

Run = tuple[str, list[str]]  # its folder below OUT, STEP/SET/ARM/SEED, and its words
NEVER = "evaluate.every_n_epochs=100000"  # dev is evaluated at the end all the same

# Rates by optimiser steps, and of each set the steps that are looked at (1 to 20 epochs of it), by seed.
RATES = {
    10: (0.005, 0.01, 0.02, 0.04),
    30: (0.005, 0.01, 0.02, 0.04),
    100: (0.0025, 0.005, 0.01, 0.02),
    300: (0.0025, 0.005, 0.01, 0.02),
}
STEPS = {
    1: {"or-sharc": (10, 30, 100, 300), "scifact": (10, 30, 100), "nl2bash": (30, 100, 300), "medquad": (30, 100, 300)},
    2: {"or-sharc": (10, 30, 100), "scifact": (10, 30, 100)},
}
LEFT_OUT = {"medquad": {30: (0.04,), 100: (0.0025,), 300: (0.02,)}}  # the slowest
FROM_SCRATCH = {  # random words have further to go
    30: (0.01, 0.02, 0.04, 0.08),
    100: (0.005, 0.01, 0.02, 0.04),
}
SCRATCH_STEPS = {"or-sharc": (30, 100), "nl2bash": (100,)}
# Epochs at which rule and constant are judged. With the default 3 the first three have 24 to 42 steps, for which the
# rule gives the constant: the same run.
EPOCHS = {"conala": 10, "nfcorpus-proc": 10, "obliqa": 10, "squad-sent": 3}
SCRATCH_EPOCHS = {"conala": 30, "squad-sent": 3}  # the same from random words, which take longer: 240 and 207 steps
SEEDS = (1, 2, 3)
CONSTANT = 0.01


def arm(start: str, steps: int, rate: float) -> str:
    """The folder of an arm."""
    return f"{start}_{steps}_at_{rate}"


def tuned() -> Iterator[Run]:
    """Runs on the tuning sets, from MiniLM's words on all and from scratch on two; one seed of all before the next."""
    yield from _from_words(1)
    for name, lengths in SCRATCH_STEPS.items():
        for steps in lengths:
            yield from _of(name, "null", steps, FROM_SCRATCH[steps], 1)
    yield from _from_words(2)


def _from_words(seed: int) -> Iterator[Run]:
    for name, lengths in STEPS[seed].items():
        for steps in lengths:
            left_out = LEFT_OUT.get(name, {}).get(steps, ())
            yield from _of(name, "minilm", steps, [rate for rate in RATES[steps] if rate not in left_out], seed)


def _of(name: str, start: str, steps: int, rates: Iterable[float], seed: int) -> Iterator[Run]:
    for rate in rates:
        words = [f"encoder.init={start}", f"optimizer.lr={rate}", f"trainer.max_steps={steps}", f"seed={seed}"]
        words += ["batch_size=auto", "trainer.max_epochs=-1", NEVER, "split.test=null"]
        yield f"rate_steps/{name}/{arm(start, steps, rate)}/{seed}", words


def judged(out: Path, step: str = "judge_rate") -> Iterator[Run]:
    """Runs on the confirmation sets: the constant, and the rate that the rule gives for the steps that this run had."""
    from rule import rate

    for seed, (name, epochs) in product(SEEDS, epochs_of(step).items()):
        common = [
            *(["encoder.init=null"] if step == "judge_rate_scratch" else []),
            "batch_size=auto",
            f"trainer.max_epochs={epochs}",
            f"evaluate.every_n_epochs={epochs}",
            f"seed={seed}",
        ]
        folder = f"{step}/{name}/constant/{seed}"
        yield folder, [*common, f"optimizer.lr={CONSTANT}", "strategy_name=constant"]
        steps = json.loads((out / folder / "summary.json").read_text(encoding="utf-8"))["steps"]
        yield f"{step}/{name}/rule/{seed}", [*common, f"optimizer.lr={rate(steps):g}", "strategy_name=rule"]


def epochs_of(step: str) -> dict[str, int]:
    """The confirmation sets of a step, and for how many epochs they are trained on."""
    return SCRATCH_EPOCHS if step == "judge_rate_scratch" else EPOCHS
