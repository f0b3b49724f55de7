"""What a run leaves behind: per-query values, summary and tables; its ranking is in trec_runs.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float
from rich.console import Console
from rich.text import Text

from hardneg.data.tables import RetrievalData
from hardneg.retrieval.metrics import QueryRankings, average, by_set
from hardneg.runs.trec_runs import write_run
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.terminal_tables import Cell, laid_out, print_title, whole_width

Systems = Mapping[str, Mapping[str, Float[np.ndarray, " Q"]]]  # system -> metric -> value per query
Layout = tuple[list[str], list[list[Cell]]]  # headings and rows
Means = dict[str, dict[str, float]]  # system -> metric -> mean


@dataclass(frozen=True)
class Tested:
    """One test set: its ranking by suffix of the width ("" is the whole), and every system's values by query.

    `name` is "" for a run's only test set; several data sets in one are told apart by names of their own.
    """

    name: str
    data: RetrievalData
    split: str
    runs: Mapping[str, QueryRankings]
    systems: Systems

    @property
    def run(self) -> QueryRankings:
        """The ranking at full width."""
        return self.runs[""]

    def of_set(self, part: str) -> str:
        """Name one of the data sets in it."""
        return f"{self.name}/{part}" if self.name and self.data.mixed else self.name or part


def write_per_query(path: Path, tested: Sequence[Tested]) -> None:
    """Write one row a query and system: query_id, system, of several sets the set, a column per metric.

    With several test sets ids become NAME/ID, as the ids of several data sets in one are.
    """
    tables = []
    for one in tested:
        named = {"query_id": one.data.queries.ids.take(one.run.queries).to_pylist()}
        if one.name:
            named["query_id"] = [f"{one.name}/{query}" for query in named["query_id"]]
        if one.name or one.data.mixed:
            parts = one.data.parts_of(one.run.queries).tolist()
            named["set"] = [one.of_set(one.data.parts[place].name) for place in parts]
        tables += [
            pa.table(
                {**named, "system": [system] * len(one.run.queries), **{k: np.asarray(v) for k, v in values.items()}}
            )
            for system, values in one.systems.items()
        ]
    pq.write_table(pa.concat_tables(tables), path)


def write_runs(folder: Path, tested: Sequence[Tested], name: str, tag: str) -> None:
    """Write the ranking as NAME.run; with several test sets one for each, NAME/SET.run."""
    if len(tested) == 1:
        write_run(folder / f"{name}.run", tested[0].run, tested[0].data, tag)
        return
    (folder / name).mkdir(exist_ok=True)
    for one in tested:
        file = (one.name or one.data.name).replace("/", "_")
        write_run(folder / name / f"{file}.run", one.run, one.data, tag)


def means(tested: Sequence[Tested]) -> Means:
    """Average each metric over the queries, or over the averages of several sets."""
    if len(tested) == 1:
        one = tested[0]
        return {
            system: {name: average(v, one.run.queries, one.data) for name, v in metrics.items()}
            for system, metrics in one.systems.items()
        }
    sets = means_by_set(tested).values()
    everywhere = [system for system in tested[0].systems if all(system in rows for rows in sets)] if tested else []
    return {
        system: {metric: float(np.mean([rows[system][metric] for rows in sets])) for metric in next(iter(sets))[system]}
        for system in everywhere
    }


def means_by_set(tested: Sequence[Tested]) -> dict[str, Means]:
    """Average each metric over the queries of each of several sets; empty where there is one only."""
    found: dict[str, Means] = {}
    for one in tested:
        if len(tested) == 1 and not one.data.mixed:
            continue
        for system, metrics in one.systems.items():
            for metric, values in metrics.items():
                for part, mean in by_set(values, one.run.queries, one.data).items():
                    found.setdefault(one.of_set(part), {}).setdefault(system, {})[metric] = mean
    return found


def tell(title: str, tested: Sequence[Tested], rows: Means, sets: Mapping[str, Means]) -> None:
    """Print the closing table, after those of the sets if there are several."""
    counts = queries_by_set(tested)
    for name, inner in sets.items():
        show(f"{name}, {counted(counts[name], *QUERIES)}", inner)
    what = ", ".join(dict.fromkeys(f"{one.data.name} ({one.split})" for one in tested))
    asked = counted(sum(len(one.run.queries) for one in tested), *QUERIES)
    show(f"{title} on {what}" + ": mean of the sets" * bool(sets) + f", {asked}", rows)


def queries_by_set(tested: Sequence[Tested]) -> dict[str, int]:
    """Count the queries of each set, by the names of `means_by_set`."""
    return {
        one.of_set(part.name): len(np.atleast_1d(one.run.queries[here]))
        for one in tested
        for part, here in one.data.by_part(one.run.queries)
    }


def show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of systems; the best value of each metric is bold.

    Where the metrics do not fit beside each other, but the systems do, they stand one below the other.
    """
    metrics = list(next(iter(rows.values())))
    best = {metric: max(row[metric] for row in rows.values()) for metric in metrics}
    cells = [[Text(f"{row[m]:.4f}", style="bold" * (row[m] == best[m])) for m in metrics] for row in rows.values()]
    by_system: Layout = (["", *metrics], [[name, *row] for name, row in zip(rows, cells, strict=True)])
    by_metric: Layout = (["", *rows], [[*row] for row in zip(metrics, *cells, strict=True)])
    console = Console()
    print_title(console, title)
    headings, lines = next((one for one in (by_system, by_metric) if whole_width(*one) <= console.width), by_system)
    for table in laid_out(headings, lines, console.width):
        console.print(table)
