"""Print subset_eval.md from the runs' `both.json` and the summary of the run that stopped early."""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

ARMS = ("in_batch", "bm25", "seed2")


def main(root: Path) -> None:
    """Write the tables to standard output."""
    print(
        "| data | subset | documents | points | Kendall over points and arms | Pearson |"
        " same order of pairs that differ by"
        " >= .01 | Kendall of queries: first point, median, last | subset - all | best point the same |"
        " time: all / subset |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for data in ("nl2bash", "medquad"):
        for size in ("small", "middle"):
            if (root / f"{data}-{size}-{ARMS[-1]}" / "both.json").exists():
                print(row(root, data, size))
    early = json.loads((root / "early" / "summary.json").read_text())
    points = [(point["step"], point["val/ndcg@10"]) for point in early["dev"]["history"]]
    best = max(points[1:], key=lambda point: point[1])
    print(
        f"\nEarly stopping (nl2bash, patience 3 of 14 steps each, at most 8 epochs): stopped at step {early['steps']},"
        f" {len(points) - 1} evaluations; the best was {best[1]:.4f} at step {best[0]}."
    )


def row(root: Path, data: str, size: str) -> str:
    """One line: a data set and a size, over the points of all arms."""
    arms = [json.loads((root / f"{data}-{size}-{arm}" / "both.json").read_text()) for arm in ARMS]
    points = [point for arm in arms for point in arm]
    subset, whole = (np.array([point[key] for point in points]) for key in ("subset", "all"))
    pairs = [(i, j) for i, j in combinations(range(len(points)), 2) if abs(whole[i] - whole[j]) >= 0.01]
    kept = np.mean([(whole[i] > whole[j]) == (subset[i] > subset[j]) for i, j in pairs])
    best = [np.argmax([p["subset"] for p in arm]) == np.argmax([p["all"] for p in arm]) for arm in arms]
    kendalls = [point["kendall"] for point in points]
    speed = np.median([point["all_seconds"] / point["subset_seconds"] for point in points])
    off = subset - whole
    documents = " ".join(f"{arm[0]['documents'] / arm[0]['of']:.0%}" for arm in arms)
    return (
        f"| {data} | {size} | {documents} | {len(points)} | {stats.kendalltau(subset, whole).statistic:.3f} |"
        f" {stats.pearsonr(subset, whole).statistic:.4f} | {kept:.1%} of {len(pairs)} |"
        f" {kendalls[0]:.3f}, {np.median(kendalls):.3f}, {kendalls[-1]:.3f} | {off.min():+.4f} to {off.max():+.4f} |"
        f" {sum(best)} of {len(best)} | {speed:.1f} |"
    )


main(Path(sys.argv[1]))
