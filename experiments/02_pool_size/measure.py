"""Turn the runs of one set into points, the trend over doublings and the last step's gain: SET.json and SET-trend.md.

usage: measure.py RUNS_FOLDER SET.json      (RUNS_FOLDER/WAY[_SIZE]/JOB, as run.sh leaves them)
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from hardneg.compare.finished_runs import find
from hardneg.compare.one_run import FinishedRun
from hardneg.compare.statistics import Difference, crossed

METRICS = ("ndcg@10", "recall@100")
# What enlarges the pool, and the plain batch of as many steps that stands among its points.
WAYS = {
    "batch": ("larger batch, 3 epochs", None),
    "steps": ("larger batch, equal steps", 512),
    "moco": ("batch 128 and queue, momentum", None),
    "xbm": ("batch 128 and queue, no momentum", 128),
}
HEADER = ("way", "pools", "metric", "slope a doubling", "last step", "smallest to best pool")
Values = dict[int, np.ndarray]  # pool -> (seeds, queries)


def pool(run: FinishedRun) -> int:
    """Return how many documents a query is set against."""
    return int(run.config["batch_size"]) + int(run.config.get("negatives.queue.size", 0))


def of_way(folder: Path, way: str) -> list[FinishedRun]:
    """Return a way's runs with those it starts from; none where it was not run."""
    start = WAYS[way][1]
    own = [path for path in sorted(folder.glob(f"{way}*")) if any(path.rglob("summary.json"))]
    runs = find(own).runs if own else []
    if not own or start is None:
        return runs
    return [run for run in find([folder / "batch"]).runs if pool(run) == start] + runs


def values(runs: list[FinishedRun], metric: str) -> Values:
    """Return the metric by pool, seed and query; of the seeds that all pools have."""
    found: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for run in runs:
        assert run.per_query is not None, f"{run.folder} has no per_query.parquet"
        found[pool(run)][run.seed] = run.per_query.values[metric]  # in the order of the queries' ids
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in found.values())))
    return {size: np.array([found[size][seed] for seed in seeds]) for size in sorted(found)}


def trend(table: Values) -> Difference:
    """Test the slope of a line through the arms over log2 of their pools, for each seed and query."""
    x = np.log2(list(table))
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return crossed(np.tensordot(weights, np.stack(list(table.values())), axes=1))


def cell(d: Difference) -> str:
    """Write a difference in points."""
    low, high = d.interval()
    return f"{100 * d.mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"


def row(way: str, metric: str, table: Values) -> tuple[str, ...]:
    """Return the trend table's line of one way."""
    sizes = list(table)
    best = max(sizes, key=lambda size: float(table[size].mean()))
    gain = "-" if best == sizes[0] else f"{best}: {cell(crossed(table[best] - table[sizes[0]]))}"
    last = cell(crossed(table[sizes[-1]] - table[sizes[-2]]))
    return (WAYS[way][0], ", ".join(map(str, sizes)), metric, cell(trend(table)), last, gain)


def point(way: str, metric: str, size: int, v: np.ndarray, steps: int) -> str:
    """Return one point of the figure as a line of JSON."""
    level = crossed(v)
    low, mean, high = (round(x, 5) for x in (level.interval()[0], level.mean, level.interval()[1]))
    one = {"way": way, "pool": size, "steps": steps, "metric": metric, "mean": mean, "low": low, "high": high}
    return json.dumps({**one, "seeds": level.seeds})


def main(folder: Path, out: Path) -> None:
    """Write both files."""
    points, rows = [], []
    for way in WAYS:
        runs = of_way(folder, way)
        steps = {pool(run): run.summary["steps"] for run in runs}
        for metric in METRICS if runs else ():
            table = values(runs, metric)
            points += [point(way, metric, size, v, steps[size]) for size, v in table.items()]
            if len(table) > 1:
                rows.append(row(way, metric, table))
    title = f"**{out.stem}: points of the test metric, 95% intervals over seeds and queries**"
    table = ["| " + " | ".join(cells) + " |" for cells in (HEADER, ("---",) * len(HEADER), *rows)]
    out.write_text("[\n" + ",\n".join(points) + "\n]\n")
    out.with_name(f"{out.stem}-trend.md").write_text("\n".join([title, "", *table, ""]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
