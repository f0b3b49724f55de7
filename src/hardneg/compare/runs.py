"""Finished runs on disk, grouped into the arms of a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float

from hardneg.errors import UserError


@dataclass(frozen=True)
class FinishedRun:
    """One run folder: its summary, and the test metric of every query for each system in it."""

    folder: Path
    summary: dict[str, Any]

    @property
    def arm(self) -> str:
        """What the run tried, without the seed."""
        return f"{self.summary['strategy']}-{self.summary['loss']}"

    def values(self, metric: str, system: str = "after") -> dict[str, float]:
        """The metric of every test query; raises `UserError` for one that was not measured."""
        table = pq.read_table(self.folder / "per_query.parquet", filters=[("system", "==", system)])
        if metric not in table.column_names:
            measured = ", ".join(name for name in table.column_names if name not in ("query_id", "system"))
            raise UserError(f"{self.folder} has no {metric}; it measured {measured}")
        return dict(zip(table["query_id"].to_pylist(), table[metric].to_pylist(), strict=True))


def find(folders: Iterable[Path]) -> list[FinishedRun]:
    """Read every complete run in or below these folders; raises `UserError` where there is none."""
    runs = []
    for folder in folders:
        found = sorted(path.parent for path in folder.rglob("summary.json"))
        if not found:
            raise UserError(f"{folder}: no complete run (a folder with summary.json) in or below it")
        for path in found:
            summary = json.loads((path / "summary.json").read_text())
            if "strategy" in summary and (path / "per_query.parquet").exists():
                runs.append(FinishedRun(path, summary))
    if not runs:
        raise UserError("none of these folders holds a training run with test results")
    return runs


def arms(runs: Iterable[FinishedRun], metric: str) -> dict[str, dict[int, dict[str, float]]]:
    """Return arm -> seed -> query -> value; raises `UserError` if two runs are the same arm and seed."""
    out: dict[str, dict[int, dict[str, float]]] = {}
    folders: dict[tuple[str, int], Path] = {}
    for run in runs:
        key = (run.arm, run.summary["seed"])
        if key in folders:
            raise UserError(
                f"{folders[key]} and {run.folder} are both {run.arm} with seed {key[1]}: they differ in something that"
                " the comparison does not name; give only the folders that belong together"
            )
        folders[key] = run.folder
        out.setdefault(run.arm, {})[key[1]] = run.values(metric)
    return out


def paired(one: dict[int, dict[str, float]], other: dict[int, dict[str, float]]) -> Float[np.ndarray, "S Q"] | None:
    """Return `one - other` for the seeds and queries that both have; None where they share none."""
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    queries = sorted(set.intersection(*(one[s].keys() & other[s].keys() for s in seeds)))
    if not queries:
        return None
    return np.array([[one[s][q] - other[s][q] for q in queries] for s in seeds], float)
