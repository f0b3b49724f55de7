"""Draw two arms from runs that differ in nothing but the seed, and count how often a test calls them different.

usage: splits.py RUNS [--markdown FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hardneg.compare.finished_runs import find
from hardneg.compare.statistics import crossed, over_seeds

METRIC = "ndcg@10"
SEEDS, QUERIES = (3, 5, 10), (300, 900, None)  # None: all
SHUFFLES, HALVES = 40, 24


def rejected(
    values: np.ndarray, seeds: int, queries: int | None, rng: np.random.Generator, shuffles: int = SHUFFLES
) -> np.ndarray:
    """The share of rejections at 5% by the crossed test, over queries alone and over seeds alone.

    One shuffle cuts the runs into pairs of arms that share no run; each pair draws test queries of its own.
    """
    out = []
    for _ in range(shuffles):
        order = rng.permutation(len(values))
        for start in range(0, len(order) - 2 * seeds + 1, 2 * seeds):
            one, other = order[start : start + seeds], order[start + seeds : start + 2 * seeds]
            drawn = rng.permutation(values.shape[1])[:queries]
            d = values[np.ix_(one, drawn)] - values[np.ix_(other, drawn)]
            tests = crossed(d), crossed(d.mean(axis=0, keepdims=True)), over_seeds(d.mean(axis=1))
            out.append([test.p < 0.05 for test in tests])
    return np.mean(out, axis=0)


def with_interval(values: np.ndarray, seeds: int, queries: int | None, rng: np.random.Generator) -> np.ndarray:
    """Rate, low and high by test: shuffles of one pool are not independent, so the error comes from half pools.

    The variance between random halves of the runs estimates that of the whole (delete-half jackknife, Shao & Wu 1989).
    """
    rate = rejected(values, seeds, queries, rng)
    halves = [
        rejected(values[rng.permutation(len(values))[: len(values) // 2]], seeds, queries, rng, SHUFFLES // 4)
        for _ in range(HALVES)
    ]
    error = np.sqrt(np.mean((np.array(halves) - rate) ** 2, axis=0))
    return np.stack([rate, np.maximum(rate - 1.96 * error, 0), rate + 1.96 * error], axis=1)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    runs = find([given.runs]).runs
    values = np.stack([run.per_query.values[METRIC] for run in runs if run.per_query is not None])
    means = values.mean(axis=1)
    lines = [
        f"{len(values)} runs, {values.shape[1]} test queries; {METRIC}: mean {means.mean():.4f}, SD between seeds"
        f" {means.std(ddof=1):.4f}.",
        "",
        "| seeds an arm | queries | crossed | over queries alone | over seeds alone |",
        "| --- | --- | --- | --- | --- |",
    ]
    for seeds in SEEDS:
        for queries in QUERIES:
            found = 100 * with_interval(values, seeds, queries, np.random.default_rng(0))
            shown = [f"{rate:.1f}% [{low:.1f}, {high:.1f}]" for rate, low, high in found]
            lines.append(f"| {seeds} | {queries or values.shape[1]} | " + " | ".join(shown) + " |")
            print(lines[-1], flush=True)
    text = "\n".join([*lines, ""])
    print(text)
    if given.markdown:
        given.markdown.write_text(text)


if __name__ == "__main__":
    main()
