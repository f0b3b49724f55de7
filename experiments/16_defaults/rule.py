"""Which rule gives the rate from the number of steps: how far each is below the best rate, on dev.

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
Rule = Callable[[float], float]  # a rate for a number of steps

CONSTANTS = {f"constant {rate}": (lambda steps, rate=rate: rate) for rate in (0.005, 0.007, 0.01, 0.014, 0.02)}


def power(reference: float, exponent: float, low: float = 0.0025, high: float = 0.02) -> Rule:
    """.01 at so many steps, falling as a power of their number, within two ends."""
    return lambda steps: float(np.clip(0.01 * (reference / steps) ** exponent, low, high))


POWERS = {
    f"power {exponent} from {reference}, to {low}": power(reference, exponent, low)
    for exponent, reference, low in product((0.25, 0.5), (20, 30, 50, 70, 100, 150), (0.0025, 0.005))
}


def rate(steps: float) -> float:
    """The rule that is judged, fixed before the judged sets were looked at."""
    raise NotImplementedError("not chosen yet")


def curves(root: Path, start: str = "minilm") -> dict[Cell, Curve]:
    """Dev by rate, of each set and number of steps."""
    found: dict[Cell, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for written in sorted((root / "rate_steps").glob(f"*/{start}_*/*/summary.json")):
        name, arm, _ = written.relative_to(root / "rate_steps").parts[:3]
        _, steps, _, tried = arm.split("_")
        found[name, int(steps)][float(tried)].append(json.loads(written.read_text())["dev"]["best"])
    return {
        cell: (np.array(sorted(by_rate)), np.array([np.mean(by_rate[one]) for one in sorted(by_rate)]))
        for cell, by_rate in found.items()
    }


def loss(curve: Curve, at: float) -> float:
    """How far a rate is below the best that was tried; beyond the rates that were tried it is that of the last."""
    rates, dev = curve
    return float(dev.max() - np.interp(np.log(at), np.log(rates), dev))


def mean_loss(found: Mapping[Cell, Curve], rule: Rule) -> float:
    """The mean over sets of the mean over their lengths."""
    by_set = defaultdict(list)
    for (name, steps), curve in found.items():
        by_set[name].append(loss(curve, rule(steps)))
    return float(np.mean([np.mean(losses) for losses in by_set.values()]))


def left_out(found: Mapping[Cell, Curve], rules: Mapping[str, Rule]) -> float:
    """The mean loss on a set of the rule that is best on the others."""
    losses = []
    for name in sorted({name for name, _ in found}):
        others = {cell: curve for cell, curve in found.items() if cell[0] != name}
        best = min(rules, key=lambda rule: mean_loss(others, rules[rule]))
        losses.append(mean_loss({cell: curve for cell, curve in found.items() if cell[0] == name}, rules[best]))
    return float(np.mean(losses))


def main() -> None:
    """Print the table."""
    root = Path(sys.argv[1])
    for start in ("minilm", "null"):
        found = curves(root, start)
        if not found:
            continue
        names = sorted({name for name, _ in found})
        print(f"**rules, encoder.init={start}**: points of dev below the best rate\n")
        print(f"| rule | {' | '.join(names)} | mean |")
        print("| --- |" + " --- |" * (len(names) + 1))
        families = (CONSTANTS, POWERS)
        ranked = [sorted(family, key=lambda one: mean_loss(found, family[one])) for family in families]
        for name, rule in [(one, CONSTANTS[one]) for one in ranked[0]] + [(one, POWERS[one]) for one in ranked[1][:8]]:
            own = [mean_loss({c: v for c, v in found.items() if c[0] == of}, rule) for of in names]
            print(f"| {name} | {' | '.join(f'{100 * x:.1f}' for x in own)} | {100 * np.mean(own):.2f} |")
        for family, of in zip(families, ("constant", "power"), strict=True):
            print(f"| best {of} of the other sets |{' |' * len(names)} {100 * left_out(found, family):.2f} |")
        print()


if __name__ == "__main__":
    main()
