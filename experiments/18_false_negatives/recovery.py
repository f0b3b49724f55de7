"""How much of an oracle's gain each filter recovers, (filter - naive) / (oracle - naive); dose and response.

usage: recovery.py DATA OUT [START]      (as study/run.py; writes START-recovery.md)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import contrasts  # noqa: E402
import design  # noqa: E402

DRAWS = 2000


def main(data: Path, out: Path, start: str) -> None:
    """Write the table: an arm a row, a set a column."""
    study = design.read(HERE, data)
    sets = [one for name in study.sets if (one := contrasts.load(study, out, start, name)) is not None]
    sets = [one for one in sets if {"naive", "oracle"} <= set(one.arms)]
    rest = [arm for arm in study.arms if arm not in ("naive", "oracle")]
    lines = ["| arm | " + " | ".join(one.data for one in sets) + " |", "|" + " --- |" * (len(sets) + 1)]
    for arm in rest:
        cells = [cell(one, arm, study.metric) if arm in one.arms else "" for one in sets]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Share of the oracle's gain over naive mining; 95% intervals, seeds and clusters of queries drawn anew.",
    ]
    lines += ["No share where the oracle's gain is not above 0 in 95% of the draws."]
    lines += ["", dose(study, [one for one in sets if one.data.startswith("toy")])]
    text = "\n".join([*lines, ""])
    (HERE / f"{start}-recovery.md").write_text(text, encoding="utf-8")
    print(text)


def dose(study: design.Study, sets: list[contrasts.OneSet]) -> str:
    """The slope of naive mining's gain over the share of unlabelled positives; the worlds taken as independent."""
    x = np.array([float(one.data.removeprefix("toy-")) for one in sets])
    if len(sets) < 2:
        return ""
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum() / 10  # for ten points of the share
    found = [contrasts.test(one, {"naive": 1, "in_batch": -1}, study.metric) for one in sets]
    pairs = [(w, d) for w, d in zip(weights, found, strict=True) if d is not None]
    slope = sum(w * d.mean for w, d in pairs)
    half = 1.96 * float(np.sqrt(sum((w * d.error) ** 2 for w, d in pairs)))
    said = f"{100 * slope:+.2f} [{100 * (slope - half):+.2f}, {100 * (slope + half):+.2f}] points"
    return (
        f"Naive mining against in-batch, for each further 10% of the neighbours that are unlabelled positives: {said}."
    )


def cell(one: contrasts.OneSet, arm: str, metric: str) -> str:
    """The share with its interval."""
    three = [one.arms[name] for name in (arm, "naive", "oracle")]
    seeds = sorted(set.intersection(*(set(found.runs) for found in three)))
    ours, naive, oracle = (contrasts.values(found, seeds, metric) for found in three)
    gain, best = (sums(x, one.clusters) for x in (ours - naive, oracle - naive))
    draw = np.random.default_rng(0)
    shares, positive = [], 0
    for _ in range(DRAWS):
        rows = draw.integers(0, len(seeds), len(seeds))
        columns = draw.integers(0, gain.shape[1], gain.shape[1])
        top, bottom = gain[rows][:, columns].sum(), best[rows][:, columns].sum()
        positive += bottom > 0
        shares.append(top / bottom if bottom else np.nan)
    if positive <= 0.95 * DRAWS:
        return "no gain to recover"
    low, high = np.quantile(shares, [0.025, 0.975])
    return f"{gain.sum() / best.sum():.0%} [{low:.0%}, {high:.0%}]"


def sums(d: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The sums over clusters of queries, by seed."""
    return np.stack([np.bincount(clusters, weights=row) for row in d])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
