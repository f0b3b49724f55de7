"""What a run leaves behind: ranking, per-query values, summary and figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from hardneg.data.tables import RetrievalData
from hardneg.retrieval.metrics import Run

Systems = Mapping[str, Mapping[str, Float[np.ndarray, " Q"]]]  # system -> metric -> value per query


def write_trec(path: Path, run: Run, data: RetrievalData, tag: str) -> None:
    """Write a run file that trec_eval, ranx and pytrec_eval read; scores have all digits, so that ties stay ties."""
    with path.open("w", encoding="utf-8") as file:
        for query, found in run.as_dict(data).items():
            for rank, (doc, score) in enumerate(found.items(), start=1):
                file.write(f"{query} Q0 {doc} {rank} {score:.9g} {tag}\n")


def write_per_query(path: Path, run: Run, data: RetrievalData, systems: Systems) -> None:
    """Write one row a query and system: query_id, system, and a column per metric."""
    ids = data.queries.ids.take(run.queries).to_pylist()
    tables = [
        pa.table({"query_id": ids, "system": [system] * len(ids), **{k: np.asarray(v) for k, v in metrics.items()}})
        for system, metrics in systems.items()
    ]
    pq.write_table(pa.concat_tables(tables), path)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the run's facts and results as JSON."""
    path.write_text(json.dumps(summary, indent=2), encoding="utf-8")


def means(systems: Systems) -> dict[str, dict[str, float]]:
    """Average each metric over the queries."""
    return {system: {name: float(v.mean()) for name, v in metrics.items()} for system, metrics in systems.items()}


def show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print the closing table; the best value of each metric is bold."""
    table = Table(title=title, title_justify="left")
    metrics = list(next(iter(rows.values())))
    table.add_column("")
    for metric in metrics:
        table.add_column(metric, justify="right")
    best = {metric: max(row[metric] for row in rows.values()) for metric in metrics}
    for name, row in rows.items():
        cells = [f"[bold]{row[m]:.4f}[/]" if row[m] == best[m] else f"{row[m]:.4f}" for m in metrics]
        table.add_row(name, *cells)
    Console().print(table)
