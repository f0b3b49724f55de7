"""What is run: sets and their seconds, the tries of both sides, and what was named before any of it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BUDGET = {"nl2bash": 6.0, "squad-sent": 8.0, "conala": 3.0, "obliqa": 6.0}  # seconds of one thread a run
LONGER = {"obliqa": 24.0}  # one seed, exploratory: what more time does to in-batch alone and with negatives
SIDES = ("ours", "theirs")
SEEDS = (1, 2, 3)  # the first is that of the tries
LOOKS = (0.25, 0.5)  # shares of the budget at which the second seed looks at dev, beside the end
RATES = {"ours": (0.01, 0.005, 0.02), "theirs": (0.01, 0.005, 0.05)}
SMALLEST = 0.02  # effect of interest, on the mean of the sets
PRIMARY = (("tuned", "theirs"), ("defaults", "theirs"))  # the first is the one that the question is about

# A try is a side's settings: words of `hardneg train`; a batch and when negatives are mined (share of the budget).
Try = dict[str, Any]


def first(side: str) -> dict[str, Try]:
    """The tries that choose the rate."""
    if side == "ours":
        return {f"in_batch {rate:g}": {"words": ["strategy=in_batch"], "rate": rate} for rate in RATES[side]}
    return {f"256 {rate:g}": {"batch": 256, "rate": rate} for rate in RATES[side]}


def second(side: str, best: Try) -> dict[str, Try]:
    """The tries at the best rate: as many on each side."""
    rate = best["rate"]
    if side == "ours":
        kinds = ("random", "bm25", "mined")
        return {f"{kind} {rate:g}": {"words": [f"strategy={kind}"], "rate": rate} for kind in kinds}
    found: dict[str, Try] = {f"1024 {rate:g}": {"batch": 1024, "rate": rate}}
    for after in (0.0, 1 / 3):
        found[f"256 {rate:g} mined after {after:.2f}"] = {"batch": 256, "rate": rate, "mine_after": after}
    return found


def longer(out: Path, data: str, side: str) -> dict[str, Try]:
    """In-batch at the rate that dev chose, and the kinds of drawn negatives that are worth a longer look."""
    some = first(side)
    name = best(out, data, side, some)
    more = second(side, some[name])
    kinds = [one for one in more if one.startswith(("random", "mined", "256"))]
    return {name: some[name]} | {one: more[one] for one in kinds}


def result(out: Path, data: str, side: str, name: str, seed: int, seconds: float | None = None) -> Path:
    """Where the result of a run lies; `seconds` are those of a longer one."""
    folder = data if seconds is None else f"{data}-{seconds:g}s"
    return out / folder / side / name.replace(" ", "_") / f"{seed}.json"


def read(path: Path) -> dict[str, Any]:
    """Read a result."""
    return json.loads(path.read_text(encoding="utf-8"))


def dev(out: Path, data: str, side: str, one: str) -> float:
    """What dev said of a try at its end."""
    return float(read(result(out, data, side, one, SEEDS[0]))["points"][-1][1])


def best(out: Path, data: str, side: str, tries: dict[str, Try]) -> str:
    """The try that dev likes best."""
    return max(tries, key=lambda one: dev(out, data, side, one))


def chosen(out: Path, data: str) -> dict[str, tuple[str, str, Try]]:
    """The arms, each with its side, its try and that one's settings."""
    found: dict[str, tuple[str, str, Try]] = {}
    for side, arm in zip(SIDES, ("tuned", "theirs"), strict=True):
        tries = first(side)
        tries |= second(side, tries[best(out, data, side, tries)])
        one = best(out, data, side, tries)
        found[arm] = (side, one, tries[one])
    name, setting = next(iter(first("ours").items()))
    return {"defaults": ("ours", name, setting), **found}
