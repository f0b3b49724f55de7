"""Which test queries belong together: those that share a document are not independent draws."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hardneg.compare.one_run import FinishedRun
from hardneg.config.started_with import CONFIG
from hardneg.data.other_sets import splits_of
from hardneg.data.readers.lines import Strict, lines_of_any_end
from hardneg.data.readers.packed import unpacked_name
from hardneg.data.tables import Qrels, RetrievalData
from hardneg.errors import DataError, UserError
from hardneg.runs.saved_config import open_data, read_config

ENCODING = "utf-8-sig"  # a byte order mark, which spreadsheets write, is no part of the first id


def read(path: Path) -> dict[str, str]:
    """Read query id -> cluster from a JSON object, or from lines `query_id<TAB>cluster` (.csv: a comma).

    Lines may be packed; blank ones are left out. Raises `DataError` with file and line for a line of another form, with
    broken quotes or not in UTF-8, or a query in two clusters; `UserError` where there is no such file.
    """
    if not path.is_file():
        raise UserError(f"--cluster {path}: no such file")
    if path.suffix == ".json":
        return _of_json(path)
    clusters: dict[str, str] = {}
    for line, row in _rows(path):
        if len(row) != 2:
            raise DataError(f"{path}:{line}: must be a query id and a cluster, found {len(row)} columns")
        if clusters.setdefault(row[0], row[1]) != row[1]:
            raise DataError(f"{path}:{line}: query {row[0]!r} is in cluster {clusters[row[0]]!r} already")
    return clusters


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of each row; a quoted cell may go on over lines."""
    taken: list[int] = []  # lines of the row that is being read

    def lines() -> Iterator[str]:
        for line, text in lines_of_any_end(path, Strict()):
            taken.append(line)
            yield f"{text}\n"

    delimiter = "," if unpacked_name(path.name).endswith(".csv") else "\t"
    try:
        for row in csv.reader(lines(), delimiter=delimiter, strict=True):
            yield taken[0], row
            taken.clear()
    except csv.Error as error:
        raise DataError(f"{path}:{taken[0]}: broken quotes ({error}); write a quote inside a cell twice") from error


def _of_json(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding=ENCODING))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (at byte {error.start}); save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}:1: must be an object that maps query ids to clusters")
    return {query: str(cluster) for query, cluster in found.items()}


def numbered(clusters: dict[str, str], ids: np.ndarray, source: Path) -> Int[np.ndarray, " Q"]:
    """Number the cluster of each test query; raises `DataError` for queries that the file leaves out."""
    missing = [query for query in ids.tolist() if query not in clusters]
    if missing:
        raise DataError(f"{source}: {len(missing)} of {len(ids)} test queries have no cluster, such as {missing[0]!r}")
    return np.unique([clusters[query] for query in ids.tolist()], return_inverse=True)[1]


def sharing_positives(run: FinishedRun, ids: np.ndarray) -> Int[np.ndarray, " Q"]:
    """Join test queries that have a positive document in common, directly or through others.

    Loads the run's data set again; raises `UserError` where that is gone or is not what the run was tested on.
    """
    if not (run.folder / CONFIG).exists():
        raise UserError(f"--cluster-positives: {run.folder} has no {CONFIG}, which says where its data are")
    tested: dict[int, list[tuple[str, RetrievalData, str]]] = {}
    for one in _tested_on(run):
        tested.setdefault(id(one[1]), []).append(one)
    members: dict[str, int] = {}
    for parts in tested.values():  # splits of one data set share documents, and queries too
        data = parts[0][1]
        found = components(_joined(data, [split for _, _, split in parts]), len(data.queries))
        found = found + len(members)  # larger than all numbers so far
        for prefix, _, _ in parts:
            members |= {f"{prefix}{query}": int(found[row]) for query, row in data.queries.rows.items()}
    return np.unique([members[query] for query in ids.tolist()], return_inverse=True)[1]


def _joined(data: RetrievalData, splits: Sequence[str]) -> Qrels:
    """The judgements of several splits together."""
    parts = [data.split(split) for split in splits]
    return Qrels(*(np.concatenate([getattr(one, key) for one in parts]) for key in ("queries", "docs", "scores")))


def _tested_on(run: FinishedRun) -> Iterator[tuple[str, RetrievalData, str]]:
    """Load what a run was tested on again: the prefix of the ids in its per_query.parquet, the data and the split."""
    from hardneg.retrieval.test_sets import load_others, own_names  # which need torch

    cfg, data = read_config(run.folder), open_data(run.folder)
    splits = splits_of(cfg.split.test)
    also = load_others(cfg, data, splits, begun=True)
    names = own_names(data, splits, several=len(splits) + len(also) > 1)
    sets = [(name, data, split) for name, split in zip(names, splits, strict=True)]
    sets += [(one.name, one.data, one.split) for one in also]
    told = run.summary.get("test_set")
    for name, one, split in sets:
        known = told.get(name or one.name) if isinstance(told, dict) else told
        if run.test is not None and name and run.test.split("/")[0] != name:
            continue
        if known not in (None, one.fingerprint(split)):
            raise UserError(f"--cluster-positives: the data of {run.folder} have changed since; give --cluster FILE")
        yield f"{name}/" if name else "", one, split


def components(qrels: Qrels, queries: int) -> Int[np.ndarray, " queries"]:
    """Number the connected components of the graph between queries and their positive documents."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    relevant = qrels.relevant
    rows, docs = relevant.queries.astype(np.int64), relevant.docs.astype(np.int64)
    size = queries + int(docs.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(rows), bool), (rows, queries + docs)), shape=(size, size))
    return connected_components(graph, directed=False)[1][:queries]
