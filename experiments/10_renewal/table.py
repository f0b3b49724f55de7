"""Read what run.sh left and print the tables: table.py OUT_FOLDER SEED..."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from hardneg.ab.rankings import read_qrels
from hardneg.compare.statistics import crossed
from hardneg.retrieval.metrics import of_rankings
from hardneg.runs.trec_runs import read_run

DATES, METRIC = (2, 3, 4), "ndcg@10"


def column(folder, system):
    """The metric of each query."""
    table = pq.read_table(folder / "per_query.parquet").to_pylist()
    return {row["query_id"]: row[METRIC] for row in table if row["system"] == system}


def renewal(folder, date):
    """The renewal of a date, by the name of its data."""
    for path in sorted(folder.glob("index/renewals/*/report.json")):
        if json.loads(path.read_text())["judgements"] == f"{date} (test)":
            return path.parent
    raise SystemExit(f"{folder}: no renewal of date {date}")


def live(folder, labels):
    """What users were given after a renewal: the new ranking where it went live, else the old one."""
    went = json.loads((folder / "renewal.json").read_text())["state"] == "live"
    ranked = read_run(folder / ("new.run" if went else "old.run"))
    ids = sorted(labels)
    values = of_rankings({query: ranked.get(query, {}) for query in ids}, labels, [METRIC])[METRIC]
    return dict(zip(ids, values.tolist(), strict=True)), went


def main(out, seeds):
    """Print a row for each date."""
    print(
        "| date | documents | test queries | left as it is | renewed | trained anew | renewed - left | renewed - anew |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    switched, seconds = [], {"renewed": [], "anew": []}
    for date in DATES:
        labels = read_qrels(out / "data" / str(date) / "qrels" / "test.tsv")
        arms = {"left": [], "renewed": [], "anew": []}
        for seed in seeds:
            folder = out / seed
            found, went = live(renewal(folder, date), labels)
            arms["renewed"].append(found)
            arms["left"].append(column(folder / f"left_{date}", "checkpoint"))
            arms["anew"].append(column(folder / f"anew_{date}", "after"))
            switched.append(went)
            for name, run in (("renewed", renewal(folder, date) / "train"), ("anew", folder / f"anew_{date}")):
                seconds[name].append(json.loads((run / "summary.json").read_text())["seconds"])
        ids = sorted(labels)
        values = {name: np.array([[one[query] for query in ids] for one in found]) for name, found in arms.items()}
        means = " | ".join(f"{values[name].mean():.4f}" for name in ("left", "renewed", "anew"))
        told = []
        for other in ("left", "anew"):
            d = crossed(values["renewed"] - values[other])
            low, high = d.interval()
            told.append(f"{d.mean:+.4f} [{low:+.4f}, {high:+.4f}]")
        count = sum(1 for _ in (out / "data" / str(date) / "corpus.jsonl").open())
        print(f"| {date} | {count:,} | {len(ids):,} | {means} | {' | '.join(told)} |")
    took = {name: float(np.mean(found)) for name, found in seconds.items()}
    print(f"\n{METRIC}, {len(seeds)} seeds; 95% intervals, paired by seed and query. The gate let {sum(switched)} of")
    print(
        f"{len(switched)} renewals through. Training took {took['renewed']:.0f} s to renew, {took['anew']:.0f} s anew."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
