"""Finished runs on disk, grouped into the arms of a comparison."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float
from omegaconf import OmegaConf

from hardneg.errors import UserError

# What may differ between runs of one arm: the seed, and where and how things are kept and shown.
_NO_ARM = (
    *("seed.", "run_name.", "strategy_name.", "ckpt_path.", "cache.", "data.cache."),
    *("num_workers.", "checkpoint.", "logger."),
)


@dataclass(frozen=True)
class FinishedRun:
    """One run folder: its summary, its flat config, and the test metric of every query for each system in it."""

    folder: Path
    summary: dict[str, Any]
    config: dict[str, Any]

    @property
    def recipe(self) -> str:
        """What the run is called, without the seed."""
        return f"{self.summary['strategy']}-{self.summary['loss']}"

    def values(self, metric: str, system: str = "after") -> dict[str, float]:
        """The metric of every test query; raises `UserError` for one that was not measured.

        Of several data sets in one every set counts the same: values are weighted so that their mean is the sets'.
        """
        table = pq.read_table(self.folder / "per_query.parquet", filters=[("system", "==", system)])
        if metric not in table.column_names:
            measured = ", ".join(name for name in table.column_names if name not in ("query_id", "system", "set"))
            raise UserError(f"{self.folder} has no {metric}; it measured {measured}")
        values = table[metric].to_numpy()
        if "set" in table.column_names:
            _, of_set, sizes = np.unique(table["set"].to_numpy(), return_inverse=True, return_counts=True)
            values = values * (len(values) / len(sizes) / sizes)[of_set]
        return dict(zip(table["query_id"].to_pylist(), values.tolist(), strict=True))


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
                runs.append(FinishedRun(path, summary, _config(path)))
    if not runs:
        raise UserError("none of these folders holds a training run with test results")
    return runs


def _config(folder: Path) -> dict[str, Any]:
    """Read what makes the run's arm, as dotted keys; empty for a folder without its config."""
    written = folder / ".hydra" / "config.yaml"
    node: Any = OmegaConf.to_container(OmegaConf.load(written)) if written.exists() else {}
    chosen = {group: "+".join(node[group]) or "none" for group in ("filter", "callbacks") if group in node}
    return {key: value for key, value in _flat(node) if not f"{key}.".startswith(_NO_ARM)} | chosen


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def named(runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Group the runs into arms: runs of one strategy and loss whose settings differ are told apart by them."""
    recipes: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        recipes[run.recipe].append(run)
    out: dict[str, list[FinishedRun]] = defaultdict(list)
    for recipe, group in recipes.items():
        keys = sorted(set().union(*(run.config for run in group)))
        # A setting of a part that only some runs have says nothing more than that they have it.
        varied = [key for key in keys if len({repr(run.config[key]) for run in group if key in run.config}) > 1]
        for run in group:
            shown = [f"{key}={run.config[key]}" for key in varied if key in run.config]
            out[" ".join([recipe, *shown])].append(run)
    return out


def arms(runs: Iterable[FinishedRun], metric: str) -> dict[str, dict[int, dict[str, float]]]:
    """Return arm -> seed -> query -> value.

    Raises `UserError` if two runs are the same arm and seed, or were tested on different data of the same name.
    """
    runs = list(runs)
    for run in runs:
        if run.summary.get("test_set") != runs[0].summary.get("test_set"):
            raise UserError(
                f"{runs[0].folder} and {run.folder} were tested on different corpora, queries or judgements that are"
                f" both called {run.summary['data']!r}; compare only runs on the same data, or name them by data.name"
            )
    out: dict[str, dict[int, dict[str, float]]] = {}
    for arm, group in named(runs).items():
        folders: dict[int, Path] = {}
        for run in group:
            seed = run.summary["seed"]
            if seed in folders:
                raise UserError(f"{folders[seed]} and {run.folder} are the same run, {arm} with seed {seed}; give one")
            folders[seed] = run.folder
            out.setdefault(arm, {})[seed] = run.values(metric)
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
