"""Finished runs: their folders on disk, or what W&B's offline logs still know of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float
from omegaconf import OmegaConf

from hardneg.compare.set_weights import even_weights
from hardneg.config import started_with
from hardneg.config.command_words import command_line
from hardneg.config.run_identity import KEPT_AND_SHOWN, flat, in_numbers, written_status
from hardneg.config.run_identity import chosen as names
from hardneg.errors import UserError
from hardneg.runlog import wandb_read

# What may differ between runs of one arm: the seed, and settings of storage and display.
_NO_ARM = (
    *("seed.", "ckpt_path.", "stages.", "split.test.", "evaluate.also.", *KEPT_AND_SHOWN),
    *("provenance.", "run_folder.", "data_id.", "encoder_id.", "negatives_id.", "loss_id.", "filter_id.", "inputs."),
)


@dataclass(frozen=True)
class PerQuery:
    """Every metric of every test query, in the order of the sorted ids.

    `values` are multiplied by `weights`, by which each of several sets counts the same; null: there is one set.
    """

    ids: np.ndarray
    values: Mapping[str, Float[np.ndarray, " Q"]]
    weights: Float[np.ndarray, " Q"] | None = None


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """One run: its summary, its flat config, and where its files are.

    `logs` are the folders of its W&B log; set only where the run folder itself is gone.
    """

    folder: Path
    summary: dict[str, Any]
    config: dict[str, Any]
    logs: tuple[Path, ...] = ()
    test: str | None = None  # which of several test sets counts; null: the mean over all

    @property
    def sets(self) -> list[str]:
        """The names of its test sets; empty where there is one only, or one of them was chosen."""
        return [] if self.test else list(self.summary.get("test_by_set") or {})

    def on(self, name: str) -> FinishedRun | None:
        """The same run as if it had been tested on one of its sets only; None where it has no such set."""
        if not self.sets:
            return self if name in (self.test, self.summary["data"]) else None
        if name not in self.sets:
            return None
        tested = self.summary.get("test_set")
        told = tested.get(name, tested) if isinstance(tested, dict) else tested
        summary = {**self.summary, "test": self.summary["test_by_set"][name], "test_set": told}
        return replace(self, summary=summary, test=name)

    @property
    def recipe(self) -> str:
        """What the run is called, without the seed."""
        return f"{self.summary['strategy']}-{self.summary['loss']}"

    @property
    def seed(self) -> int:
        """The seed that pairs it with the runs of other arms."""
        return self.summary["seed"]

    def mean(self, metric: str) -> float:
        """The mean over the test queries; raises `UserError` for a metric that was not measured."""
        measured = self.summary["test"]["after"]
        if metric not in measured:
            raise UserError(f"{self.folder} has no {metric}; it measured {', '.join(measured)}")
        return measured[metric]

    @cached_property
    def per_query(self) -> PerQuery | None:
        """The values of the trained model by query; None where they are gone, `UserError` where they are damaged.

        Of several data sets in one each counts the same: values are weighted so that their mean is that over the sets.
        """
        file = self.folder / "per_query.parquet"
        if self.logs or not file.exists():
            return None
        try:
            # Not by `read_table`, which takes a second of imports, pandas among them, also for one file.
            table = pq.ParquetFile(file).read()
            table = table.filter(pc.equal(table["system"], "after")).drop_columns("system")
        except PermissionError:
            raise
        except (pa.ArrowInvalid, KeyError, OSError) as error:  # OSError: an unreadable header
            raise UserError(
                f"{file} is damaged ({error}); delete summary.json there, and {command_line('resume', self.folder)}"
                " writes both"
            ) from error
        ids = np.array(table["query_id"].to_pylist())
        order = np.argsort(ids)
        weights = None
        if self.test is not None:
            mine = np.array(table["set"].to_pylist())[order] == self.test
            order = order[mine]
        elif "set" in table.column_names:
            weights = even_weights(table["set"].to_numpy())[order]
        metrics = [name for name in table.column_names if name not in ("query_id", "set")]
        values = {name: table[name].to_numpy()[order] for name in metrics}
        if weights is not None:
            values = {name: weights * own for name, own in values.items()}
        return PerQuery(ids[order], values, weights)

    def history(self, key: str) -> tuple[list[float], list[float]]:
        """Steps and values of one logged metric, from metrics.csv or the W&B log; empty lists without either."""
        steps: list[float] = []
        values: list[float] = []
        for row in self._rows:
            if row.get(key) not in (None, ""):
                steps.append(float(row["step"]))
                values.append(float(row[key]))
        return steps, values

    @cached_property
    def logged(self) -> set[str]:
        """The names of all logged metrics."""
        return {key for row in self._rows for key, value in row.items() if value not in (None, "")}

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        if self.logs:
            rows = [row for log in self.logs for row in wandb_read.history(log)]
            return [{"step": row[wandb_read.STEP], **row} for row in rows if wandb_read.STEP in row]
        file = self.folder / "metrics.csv"
        if not file.exists():
            return []
        with file.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))


@dataclass(frozen=True)
class Found:
    """What the folders hold: complete runs, and those that are left out with the reason."""

    runs: list[FinishedRun] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)


def find(folders: Iterable[Path]) -> Found:
    """Read every run in or below these folders; raises `UserError` where there is no complete one."""
    found = Found()
    seen: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder}: no such folder")
        before = len(found.runs) + len(found.left_out)
        paths = sorted(_run_folders(folder))
        for path in paths:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                _add(path, found)
        _add_logs(folder, found, seen)
        if len(found.runs) + len(found.left_out) == before and not paths:
            raise UserError(
                f"{folder}: no complete run in or below it (a folder with summary.json, or wandb/ with offline runs)"
            )
    if not found.runs:
        unfinished = f"; unfinished: {', '.join(map(str, found.left_out))}" if found.left_out else ""
        raise UserError(f"none of these folders holds a complete run with test results{unfinished}")
    return found


def _run_folders(folder: Path) -> set[Path]:
    complete = {path.parent for path in folder.rglob("summary.json")}
    return complete | {path.parent.parent for path in folder.rglob(started_with.CONFIG)}


def _add(path: Path, into: Found) -> None:
    if not (path / "summary.json").exists():
        if _is_training(path):
            into.left_out[path] = _why_unfinished(written_status(path) or {})
        return
    try:
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    except ValueError as error:
        into.left_out[path] = f"its summary.json is damaged ({error}); delete it, and hardneg resume writes it again"
        return
    if "strategy" not in summary:
        return  # an evaluation, or a probe
    if not summary.get("test", {}).get("after"):
        into.left_out[path] = "has no test results (split.test=null)"
        return
    written = started_with.config_of(path)
    node: Any = {} if written is None else OmegaConf.to_container(written)
    # Hydra writes `auto` anew when a sweep is asked for again.
    into.runs.append(FinishedRun(path, summary, flat_config(in_numbers(node, path))))


def _why_unfinished(status: Mapping[str, Any]) -> str:
    match status.get("state"):
        case "failed":
            return f"failed (hardneg resume begins it anew): {status.get('error')}"
        case "pruned":
            return "pruned: its search or race ended it early"
    return "not finished (no summary.json); hardneg resume continues it"


def _is_training(path: Path) -> bool:
    """Whether the folder was made by train or train-teacher: a mining run, a probe, debug=NAME have no summary."""
    if not str(started_with.of_hydra(path, "hydra.job.name")).startswith("train"):
        return False
    return not (started_with.config_of(path) or {}).get("debug")


def _add_logs(folder: Path, into: Found, seen: set[Path]) -> None:
    """Add the runs that only W&B's logs below this folder still know."""
    ids = {file.read_text(encoding="utf-8").strip() for path in seen if (file := path / "wandb_run_id").is_file()}
    for entry in wandb_read.runs(folder, without=ids):
        config, logs = entry["config"] or {}, tuple(entry["dirs"])
        if config.get("debug"):
            continue
        path = Path(config["run_folder"]) if "run_folder" in config else None
        if path is not None and path.resolve() not in seen and (path / "summary.json").exists():
            seen.add(path.resolve())
            _add(path, into)
            continue
        measured = {key.removeprefix("test/"): v for key, v in entry["summary"].items() if key.startswith("test/")}
        if not measured:
            into.left_out[logs[-1]] = f"W&B run {entry['name']} has no test results (state {entry['state']})"
            continue
        sets: dict[str, dict[str, dict[str, float]]] = {}
        for key, value in measured.items():
            if "/" in key:  # test/<set>/<metric>
                name, metric = key.rsplit("/", 1)
                sets.setdefault(name, {"after": {}})["after"][metric] = value
        measured = {key: value for key, value in measured.items() if "/" not in key}
        summary = {
            **({"test_by_set": sets} if sets else {}),
            **{"strategy": config["strategy_name"], "loss": config["loss_id"], "seed": config["seed"]},
            **{"data": config["data_id"], "test_set": None, "test": {"after": measured}},
        }
        into.runs.append(FinishedRun(logs[-1], summary, flat_config(config), logs))


def flat_config(node: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what makes the run's arm, as dotted keys.

    Interpolations are left out: what they stand for is there under its own key.
    """
    leaves = dict(flat(node))
    chosen = {group: names(node[group]) or "none" for group in ("filter", "callbacks") if group in node}
    kept = {key: value for key, value in leaves.items() if not f"{key}.".startswith(_NO_ARM) and "${" not in str(value)}
    if not kept.get("pairs", True):  # once there were none
        del kept["pairs"]
    elif node.get("pairs"):
        chosen["pairs"] = names(node["pairs"])
    return kept | chosen
