"""The learning rate by the number of steps: what is tried on the tuned sets, and the one look at the judged ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

Run = tuple[str, list[str]]  # its folder below OUT, STEP/SET/ARM/SEED, and its words
NEVER = "evaluate.every_n_epochs=100000"  # dev is evaluated at the end all the same

# Rates by optimiser steps, and of each set the steps that are looked at: 1 to 20 epochs of it.
RATES = {
    10: (0.005, 0.01, 0.02, 0.04),
    30: (0.005, 0.01, 0.02, 0.04),
    100: (0.0025, 0.005, 0.01, 0.02),
    300: (0.0025, 0.005, 0.01, 0.02),
    600: (0.0025, 0.005, 0.01),
}
STEPS = {
    "or-sharc": (10, 30, 100, 300),
    "scifact": (10, 30, 100),
    "nl2bash": (30, 100, 300, 600),
    "medquad": (30, 100, 300),
}
ONE_SEED = ("medquad",)  # long documents
FROM_SCRATCH = {  # random words have further to go
    30: (0.01, 0.02, 0.04, 0.08),
    100: (0.005, 0.01, 0.02, 0.04),
    300: (0.005, 0.01, 0.02, 0.04),
}
# Epochs at which rule and constant are judged: the default, and a longer run (of the largest set a shorter one).
EPOCHS = {"conala": (3, 10), "nfcorpus-proc": (3, 10), "obliqa": (3, 10), "squad-sent": (3, 1)}
SEEDS = (1, 2, 3)
CONSTANT = 0.01


def arm(start: str, steps: int, rate: float) -> str:
    """The folder of an arm."""
    return f"{start}_{steps}_at_{rate}"


def tuned() -> Iterator[Run]:
    """Runs on the tuned sets, from MiniLM's words on all and from scratch on two; one seed of all before the next."""
    for seed in (1, 2):
        for name, lengths in STEPS.items():
            if seed == 1 or name not in ONE_SEED:
                yield from _of(name, "minilm", {steps: RATES[steps] for steps in lengths}, seed)
        if seed == 1:
            for name in ("or-sharc", "nl2bash"):
                yield from _of(name, "null", FROM_SCRATCH, seed)


def _of(name: str, start: str, rates: dict[int, tuple[float, ...]], seed: int) -> Iterator[Run]:
    for steps, tried in rates.items():
        for rate in tried:
            words = [f"encoder.init={start}", f"optimizer.lr={rate}", f"trainer.max_steps={steps}", f"seed={seed}"]
            words += ["batch_size=auto", "trainer.max_epochs=-1", NEVER, "split.test=null"]
            yield f"rate_steps/{name}/{arm(start, steps, rate)}/{seed}", words


def judged(out: Path) -> Iterator[Run]:
    """Runs on the judged sets: the constant, and the rate that the rule gives for the steps that this run had."""
    from rule import rate

    for seed, (name, lengths) in product(SEEDS, EPOCHS.items()):
        for epochs in lengths:
            common = [
                "batch_size=auto",
                f"trainer.max_epochs={epochs}",
                f"evaluate.every_n_epochs={epochs}",
                f"seed={seed}",
            ]
            of_set = f"judge_rate/{name}/{'default' if epochs == 3 else 'other'}"
            yield f"{of_set}/constant/{seed}", [*common, f"optimizer.lr={CONSTANT}", "strategy_name=constant"]
            done = json.loads((out / of_set / "constant" / str(seed) / "summary.json").read_text(encoding="utf-8"))
            found = f"optimizer.lr={rate(done['steps']):.6g}"
            yield f"{of_set}/rule/{seed}", [*common, found, "strategy_name=rule"]
