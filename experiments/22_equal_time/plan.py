"""What is run: sets and their seconds, the tries of both sides, and what was named before any of it was."""

from __future__ import annotations

from pathlib import Path

BUDGET = {"nl2bash": 6.0, "squad-sent": 8.0, "conala": 3.0, "obliqa": 6.0}  # seconds of one thread a run
SEEDS = (1, 2, 3)  # the first is that of the tries
LOOKS = (0.25, 0.5)  # shares of the budget at which the second seed looks at dev, beside the end
RATES = {"ours": (0.01, 0.005, 0.02), "theirs": (0.01, 0.005, 0.05)}
SMALLEST = 0.02  # effect of interest, on the mean of the sets
PRIMARY = (("tuned", "theirs"), ("defaults", "theirs"))  # the first is the one that the question is about

# A try is a side's settings: words of `hardneg train`; a batch and when negatives are mined (share of the budget).
Try = dict[str, object]


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


def result(out: Path, data: str, side: str, name: str, seed: int) -> Path:
    """Where the result of a run lies."""
    return out / data / side / name.replace(" ", "_") / f"{seed}.json"
