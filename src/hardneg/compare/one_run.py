"""One finished run: its summary, its config, its values by query and what it logged."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float

from hardneg.compare.set_weights import even_weights
from hardneg.config.command_words import command_line
from hardneg.config.run_summary import SUMMARY
from hardneg.errors import UserError
from hardneg.runlog import wandb_read
from hardneg.runlog.files import METRICS


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

    @property
    def cost(self) -> tuple[int, float] | None:
        """The queries that it trained with, and the documents embedded for each; None where its summary has neither."""
        told = self.summary.get("throughput") or {}
        return (told["queries"], told["documents_per_query"]) if "queries" in told else None

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
                f"{file} is damaged ({error}); delete {SUMMARY} there, and {command_line('resume', self.folder)}"
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
        file = self.folder / METRICS
        if not file.exists():
            return []
        with file.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
