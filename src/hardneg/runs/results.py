"""What a run leaves behind: per-query values, summary and tables; its ranking is in trec_runs.py."""

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
from hardneg.retrieval.metrics import Run, average, by_set

Systems = Mapping[str, Mapping[str, Float[np.ndarray, " Q"]]]  # system -> metric -> value per query
Means = dict[str, dict[str, float]]  # system -> metric -> mean


def write_per_query(path: Path, run: Run, data: RetrievalData, systems: Systems) -> None:
    """Write one row a query and system: query_id, system, of several data sets in one the set, a column per metric."""
    named = {"query_id": data.queries.ids.take(run.queries).to_pylist()}
    if data.mixed:
        named["set"] = [data.parts[place].name for place in data.parts_of(run.queries).tolist()]
    tables = [
        pa.table({**named, "system": [system] * len(run.queries), **{k: np.asarray(v) for k, v in metrics.items()}})
        for system, metrics in systems.items()
    ]
    pq.write_table(pa.concat_tables(tables), path)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the run's facts and results as JSON."""
    path.write_text(json.dumps(summary, indent=2), encoding="utf-8")


def means(systems: Systems, run: Run, data: RetrievalData) -> Means:
    """Average each metric over the queries, or over the averages of several data sets in one."""
    return {
        system: {name: average(v, run.queries, data) for name, v in metrics.items()}
        for system, metrics in systems.items()
    }


def means_by_set(systems: Systems, run: Run, data: RetrievalData) -> dict[str, Means]:
    """Average each metric over the queries of each of several data sets in one; empty where there is one only."""
    found: dict[str, Means] = {}
    for system, metrics in systems.items() if data.mixed else ():
        for metric, values in metrics.items():
            for name, mean in by_set(values, run.queries, data).items():
                found.setdefault(name, {}).setdefault(system, {})[metric] = mean
    return found


def tell(title: str, rows: Means, sets: Mapping[str, Means]) -> None:
    """Print the closing table, after those of the sets if there are several in one."""
    for name, inner in sets.items():
        show(name, inner)
    show(title + ": mean of the sets" * bool(sets), rows)


def show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of systems; the best value of each metric is bold."""
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
