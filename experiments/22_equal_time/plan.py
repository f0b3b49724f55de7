"""What is run: sets and their seconds, the tries of both sides, and what was named before any of it was."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra

from hardneg.config import classes

SIDES = ("ours", "theirs")
SEEDS = (1, 2, 3)  # the first is that of the tries
LOOKS = (0.25, 0.5)  # shares of the budget at which the second seed looks at dev, beside the end
SMALLEST = 0.02  # effect of interest, on the mean of the sets
PRIMARY = (("tuned", "theirs"), ("defaults", "theirs"))  # the first is the one that the question is about
RACED = ("race", "theirs")  # beside them, where a race was run

SMALL_SUBSET = ("evaluate.subset.bm25=2", "evaluate.subset.model=0", "evaluate.subset.size=2000")  # of documents

# A try is a side's settings: words of `hardneg train`; a batch and when negatives are mined (share of the budget).
Try = dict[str, Any]


@dataclass(frozen=True)
class Start:
    """The encoder that both sides begin with, and what suits it."""

    words: tuple[str, ...]  # of `hardneg train`
    budget: dict[str, float]  # seconds of one thread a run, by set
    rates: dict[str, tuple[float, ...]]  # of each side
    batches: tuple[int, int]  # theirs: the usual one, and a larger one
    fitting: dict[str, tuple[int, ...]] = field(default_factory=dict)  # theirs, by set: the batches of all other tries
    longer: dict[str, float] = field(default_factory=dict)  # exploratory: more time for some tries, one seed
    race: tuple[str, ...] = ()  # words of `hardneg race` on our side, its budget first
    race_on: dict[str, tuple[str, ...]] = field(default_factory=dict)  # more of them, by set


STARTS = {
    "static": Start(  # mean of word vectors, those of MiniLM
        words=("encoder=static", "encoder.init=minilm"),
        budget={"nl2bash": 6.0, "squad-sent": 8.0, "conala": 3.0, "obliqa": 6.0},
        rates={"ours": (0.01, 0.005, 0.02), "theirs": (0.01, 0.005, 0.05)},
        batches=(256, 1024),
        longer={"obliqa": 24.0},
        race=("budget=240s",),
    ),
    # all-MiniLM-L6-v2 as it ships, both sides at the 256 tokens that its folder says, and in float32: bf16, which ours
    # takes by itself where the processor has it, is open to both, and would make the machine part of the answer.
    "transformer": Start(
        words=(
            "encoder=minilm",
            "encoder.query.max_length=256",
            "encoder.document.max_length=256",
            "trainer.precision=32-true",
        ),
        budget={"nl2bash": 120.0, "squad-sent": 120.0, "conala": 120.0, "obliqa": 120.0},
        rates={"ours": (2e-5, 5e-5, 1e-4), "theirs": (2e-5, 5e-5, 1e-4)},
        batches=(64, 128),
        # Nearly every text has 256 tokens: 128 pairs, and 64 with mined negatives, were killed on a machine of 24 GB.
        # Embedding the corpus takes longer than the budget, so neither side mines there.
        fitting={"obliqa": (96, 32)},
        race=("budget=60m", "race=transformer", "rungs=3", "evaluate.documents=subset"),
        # The usual subset is the whole corpus there, as each of the many queries brings 100 documents: 130 s a look on
        # nl2bash, and the race refused the hour.
        # On squad-sent ranking all documents takes nearly four minutes, and the race refused the hour for that, too.
        race_on={"nl2bash": SMALL_SUBSET, "squad-sent": (*SMALL_SUBSET, "evaluate.compare_with_all=false")},
    ),
}


@dataclass(frozen=True)
class Plan:
    """The plan of one start; `out` holds its results."""

    name: str
    out: Path

    @property
    def start(self) -> Start:
        """What both sides begin with."""
        return STARTS[self.name]

    def first(self, side: str) -> dict[str, Try]:
        """The tries that choose the rate."""
        rates, (batch, _) = self.start.rates[side], self.start.batches
        if side == "ours":
            return {f"in_batch {rate:g}": {"words": ["strategy=in_batch"], "rate": rate} for rate in rates}
        return {f"{batch} {rate:g}": {"batch": batch, "rate": rate} for rate in rates}

    def second(self, data: str, side: str, rate: float) -> dict[str, Try]:
        """The tries at the best rate: as many on each side."""
        batch, larger = self.start.batches
        fitting = self.start.fitting.get(data)
        if side == "ours":
            kinds = ("random", "bm25") if fitting else ("random", "bm25", "mined")
            return {f"{kind} {rate:g}": {"words": [f"strategy={kind}"], "rate": rate} for kind in kinds}
        found: dict[str, Try] = {f"{size} {rate:g}": {"batch": size, "rate": rate} for size in fitting or (larger,)}
        for after in () if fitting else (0.0, 1 / 3):
            found[f"{batch} {rate:g} mined after {after:.2f}"] = {"batch": batch, "rate": rate, "mine_after": after}
        return found

    def tries(self, data: str, side: str) -> dict[str, Try]:
        """All tries of a side on a set, those that choose the rate first."""
        some = self.first(side)
        return some | self.second(data, side, some[self.best(data, side, some)]["rate"])

    def longer(self, data: str, side: str) -> dict[str, Try]:
        """In-batch at the rate that dev chose, and the kinds of drawn negatives that are worth a longer look."""
        some = self.first(side)
        name = self.best(data, side, some)
        more = self.second(data, side, some[name]["rate"])
        kinds = [one for one in more if one.startswith(("random", "mined")) or "mined after" in one]
        return {name: some[name]} | {one: more[one] for one in kinds}

    def arms(self, data: str) -> dict[str, tuple[str, str, Try]]:
        """The arms, each with its side, its try and that one's settings; our defaults need no try."""
        default: Try = {"words": ["strategy=in_batch"], "rate": self.default_rate(data)}
        found = {"defaults": ("ours", f"defaults {default['rate']:g}", default)}
        for side, arm in zip(SIDES, ("tuned", "theirs"), strict=True):
            tries = self.tries(data, side)
            one = self.best(data, side, tries)
            found[arm] = (side, one, tries[one])
        if self.race(data).exists():
            won = read(self.race(data))
            named = {} if any(word.startswith("optimizer.lr=") for word in won["words"]) else {"rate": default["rate"]}
            found["race"] = ("ours", f"race {won['arm']}", {"words": won["words"], **named})
        return found

    def default_rate(self, data: str) -> float:
        """The rate of our defaults in a run of as many steps as the first try made: no run here knows its length."""
        first = read(self.result(data, "ours", next(iter(self.first("ours"))), SEEDS[0]))
        with hydra.initialize_config_module("hardneg.conf", version_base="1.3"):
            encoder = hydra.compose("train", ["data=toy", *self.start.words]).encoder
        return float(classes.build(encoder).learning_rate(first["steps"]))

    def race(self, data: str) -> Path:
        """Where it lies what a race said of a set."""
        return self.out / data / "race.json"

    def result(self, data: str, side: str, name: str, seed: int, seconds: float | None = None) -> Path:
        """Where the result of a run lies; `seconds` are those of a longer one."""
        folder = data if seconds is None else f"{data}-{seconds:g}s"
        return self.out / folder / side / name.replace(" ", "_") / f"{seed}.json"

    def dev(self, data: str, side: str, name: str) -> float:
        """What dev said of a try at its end."""
        return float(read(self.result(data, side, name, SEEDS[0]))["points"][-1][1])

    def best(self, data: str, side: str, tries: dict[str, Try]) -> str:
        """The try that dev likes best."""
        return max(tries, key=lambda one: self.dev(data, side, one))


def read(path: Path) -> dict[str, Any]:
    """Read a result."""
    return json.loads(path.read_text(encoding="utf-8"))
