"""Run folders as training leaves them, with made-up values."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def run_folder(path, strategy, seed, values, test_set="t", data="toy", config=None, per_query=True):
    """A complete run whose test values are `values`, the same for two metrics."""
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra" / "config.yaml").write_text(json.dumps({"seed": seed, **(config or {})}))
    test = {"after": {"ndcg@10": float(np.mean(values)), "recall@100": float(np.mean(values))}}
    history = [{"step": step, "val/ndcg@10": 0.1 * step + seed} for step in (0, 5, 10)]
    summary = {"strategy": strategy, "loss": "infonce", "seed": seed, "data": data, "test_set": test_set}
    (path / "summary.json").write_text(json.dumps({**summary, "test": test, "dev": {"history": history}}))
    if per_query:
        ids = [f"q{i}" for i in range(len(values))]
        rows = {"query_id": ids * 2, "system": ["before"] * len(ids) + ["after"] * len(ids)}
        both = [*[0.0] * len(ids), *values]
        pq.write_table(pa.table({**rows, "ndcg@10": both, "recall@100": both}), path / "per_query.parquet")
    return path


def sweep(path, arms, seeds=(1, 2, 3), queries=200, sd=0.1, **config):
    """Folders of arms with these true means, the same queries and seeds in all."""
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.2, queries)
    for strategy, mean in arms.items():
        for seed in seeds:
            values = np.clip(mean + hard + rng.normal(0, sd, queries), 0, 1).tolist()
            run_folder(path / f"{strategy}-{seed}", strategy, seed, values, config=config)
    return path
