"""Print the table of one data set: each recipe, its in-batch baseline, and the difference over the test queries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from arms import recipes
from scipy import stats

METRIC = "ndcg@10"
SEEDS = (1, 2)


def main(root: Path) -> None:
    """Write the table to standard output; a recipe of which a run is missing says so."""
    print("| recipe | before | in-batch baseline | recipe | difference, 95% interval over queries | minutes |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, stages in recipes().items():
        last = next((stage for stage, command in reversed(stages.items()) if command == "train"), "")
        pairs = [(root / name / f"recipe-{seed}" / last, root / name / f"baseline-{seed}") for seed in SEEDS]
        done = [pair for pair in pairs if all((folder / "summary.json").exists() for folder in pair)]
        print(f"| {name} | {row(done)} |" if done else f"| {name} | not run | | | | |")


def row(pairs: list[tuple[Path, Path]]) -> str:
    """One line: means over the seeds that are done, and the interval of the mean difference of a query."""
    ours, theirs = (np.mean([scores(folder) for folder in arm], axis=0) for arm in zip(*pairs, strict=True))
    each = ours - theirs
    low, high = stats.t.interval(0.95, len(each) - 1, each.mean(), stats.sem(each))
    summaries = [json.loads((folder / "summary.json").read_text()) for folder, _ in pairs]
    before = np.mean([json.loads((b / "summary.json").read_text())["test"]["before"][METRIC] for _, b in pairs])
    minutes = np.mean([summary["seconds"] for summary in summaries]) / 60
    seeds = "" if len(pairs) == len(SEEDS) else f" ({len(pairs)} seed)"
    return (
        f"{before:.3f} | {theirs.mean():.3f} | {ours.mean():.3f} |"
        f" {each.mean():+.3f} [{low:+.3f}, {high:+.3f}]{seeds} | {minutes:.1f}"
    )


def scores(folder: Path) -> np.ndarray:
    """A run's test scores, a number a query, in the order of their ids."""
    table = pq.read_table(folder / "per_query.parquet", filters=[("system", "=", "after")]).sort_by("query_id")
    return table[METRIC].to_numpy()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
