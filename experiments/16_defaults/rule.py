"""Which rule gives the rate from the length of a run: how far each is below the best rate, on dev.

`rule.py OUT` prints the table. Of each set and length dev is read off between the tried rates along the logarithm of
the rate. A rule's loss is the mean, over sets and their lengths, of the best rate's dev less its own. Rules are fitted
anew with each set left out and looked at on that set, since of many rules one always fits.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import numpy as np

Curve = tuple[np.ndarray, np.ndarray]  # rates, and dev at each, a mean over the seeds
Cell = tuple[str, int]  # a set and a number of steps
Rule = Callable[[str, int], float]  # a rate for a set and a number of steps
AN_EPOCH = {"or-sharc": 15, "scifact": 9, "nl2bash": 35, "medquad": 45}  # steps, with batch_size=auto

CONSTANTS: dict[str, Rule] = {
    f"constant {rate}": (lambda _, steps, rate=rate: rate) for rate in (0.005, 0.007, 0.01, 0.014, 0.02)
}


def power(length: float, reference: float, exponent: float, low: float = 0.0025, high: float = 0.02) -> float:
    """.01 at a length of `reference`, less in longer runs by a power of the length, within two ends."""
    return float(np.clip(0.01 * (reference / length) ** exponent, low, high))


def by_steps(*numbers: float) -> Rule:
    """A power of the number of steps."""
    return lambda _, steps: power(steps, *numbers)


def by_epochs(*numbers: float) -> Rule:
    """A power of the number of epochs."""
    return lambda name, steps: power(steps / AN_EPOCH[name], *numbers)


ENDS = tuple(product((0.25, 0.5, 0.75), (0.0025, 0.005), (0.01, 0.02)))
STEPS: dict[str, Rule] = {
    f".01 at {reference} steps, power {exponent}, {low} to {high}": by_steps(reference, exponent, low, high)
    for reference, (exponent, low, high) in product((20, 30, 40, 50, 70, 100, 150), ENDS)
}
EPOCHS: dict[str, Rule] = {
    f".01 at {reference} epochs, power {exponent}, {low} to {high}": by_epochs(reference, exponent, low, high)
    for reference, (exponent, low, high) in product((1, 1.5, 2, 3, 4, 6), ENDS)
}
FAMILIES = {"constant": CONSTANTS, "power of steps": STEPS, "power of epochs": EPOCHS}


def rate(steps: float) -> float:
    """The rule that is judged, fixed before it was tried on the confirmation sets: what `encoder.lr=auto` takes."""
    return float(f"{power(steps, 50, 0.5, 0.005, 0.01):.2g}")


def curves(root: Path, start: str = "minilm") -> dict[Cell, Curve]:
    """Dev by rate, of each set and number of steps."""
    found: dict[Cell, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for written in (root / "rate_steps").glob(f"*/{start}_*/*/summary.json"):
        name, arm, _ = written.relative_to(root / "rate_steps").parts[:3]
        _, steps, _, tried = arm.split("_")
        found[name, int(steps)][float(tried)].append(json.loads(written.read_text())["dev"]["best"])
    return {
        cell: (np.array(sorted(by_rate)), np.array([np.mean(by_rate[one]) for one in sorted(by_rate)]))
        for cell, by_rate in sorted(found.items())
    }


def loss(curve: Curve, at: float) -> float:
    """How far a rate is below the best that was tried; beyond the rates that were tried it is that of the last."""
    rates, dev = curve
    return float(dev.max() - np.interp(np.log(at), np.log(rates), dev))


def mean_loss(found: Mapping[Cell, Curve], rule: Rule) -> float:
    """The mean over sets of the mean over their lengths."""
    by_set = defaultdict(list)
    for cell, curve in found.items():
        by_set[cell[0]].append(loss(curve, rule(*cell)))
    return float(np.mean([np.mean(losses) for losses in by_set.values()]))


def left_out(found: Mapping[Cell, Curve], rules: Mapping[str, Rule], name: str) -> float:
    """The mean loss on a set of the rule that is best on the others."""
    others = {cell: curve for cell, curve in found.items() if cell[0] != name}
    best = min(rules, key=lambda rule: mean_loss(others, rules[rule]))
    return mean_loss(of_set(found, name), rules[best])


def of_set(found: Mapping[Cell, Curve], name: str) -> dict[Cell, Curve]:
    """The curves of one set."""
    return {cell: curve for cell, curve in found.items() if cell[0] == name}


def show(root: Path) -> None:
    """Print the table of each start."""
    for start in ("minilm", "null"):
        found = curves(root, start)
        names = sorted({name for name, _ in found})
        print(f"**rules, encoder.init={start}**: points of dev below the best rate\n")
        print(f"| rule | {' | '.join(names)} | mean |\n| --- |" + " --- |" * (len(names) + 1))
        for rules in ({"what is judged": lambda _, steps: rate(steps)}, *FAMILIES.values()):
            for name in sorted(rules, key=lambda one: mean_loss(found, rules[one]))[:5]:
                own = [mean_loss(of_set(found, one), rules[name]) for one in names]
                print(f"| {name} | {' | '.join(f'{100 * x:.1f}' for x in own)} | {100 * np.mean(own):.2f} |")
        for kind, rules in FAMILIES.items():
            own = [left_out(found, rules, one) for one in names]
            said = " | ".join(f"{100 * x:.1f}" for x in own)
            print(f"| each set by the best {kind} of the other sets | {said} | {100 * np.mean(own):.2f} |")
        print()


if __name__ == "__main__":
    show(Path(sys.argv[1]))
