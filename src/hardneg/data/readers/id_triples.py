"""Training triples by id (query, relevant document, other document), as MS MARCO and mMARCO publish them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
from pyarrow import csv

from hardneg.data.distinct import distinct
from hardneg.data.packed_pairs import packed, unpacked
from hardneg.data.ragged import Ragged
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.packed import DAMAGED, for_arrow
from hardneg.data.tables import Qrels, Texts
from hardneg.errors import DataError
from hardneg.system.progress import progress

# (query, positive) and (query, negative), each `packed`, sorted and without repeats.
Pairs = tuple[np.ndarray, np.ndarray]
COLUMNS = ("query", "positive", "negative")
BLOCK = 1 << 26  # bytes read at once: ids are looked up in a table that is built anew for each block


def read_triples(paths: list[Path], corpus: Texts, queries: Texts, complaints: Complaints) -> Pairs:
    """Return the pairs in the triples.

    Layout: three columns of ids separated by tabs, no header; tens of millions of lines are read in blocks. Complains
    about unknown ids. Raises `DataError` for another layout.
    """
    positives, negatives = np.empty(0, np.int64), np.empty(0, np.int64)
    for path in paths:
        for query, positive, negative in _rows(path, corpus, queries, complaints):
            positives = distinct(positives, packed(query, positive))
            negatives = distinct(negatives, packed(query, negative))
    return positives, negatives


def with_triples(
    splits: dict[str, Qrels], triples: Pairs | None, queries: int
) -> tuple[dict[str, Qrels], Ragged | None]:
    """Return the judgements, with the triples' positives as `train` where that is missing, and the given negatives.

    Negatives are those of the triples and what the split `train` judges not relevant, but nothing that is relevant.
    """
    if triples is not None and "train" not in splits:
        splits = {"train": Qrels.of_relevant(*unpacked(triples[0])), **splits}
    train = splits.get("train")
    if train is None:
        return splits, None
    pairs = packed(train.queries, train.docs)
    judged = pairs[train.scores <= 0] if train.gains is None else pairs[train.gains <= 0]
    negatives = distinct(judged) if triples is None else distinct(judged, triples[1])
    negatives = np.setdiff1d(negatives, distinct(pairs[train.scores > 0]), assume_unique=True)
    return splits, Ragged.of_pairs(negatives, queries) if len(negatives) else None


def _rows(path: Path, corpus: Texts, queries: Texts, complaints: Complaints) -> Iterator[tuple[np.ndarray, ...]]:
    tables = dict(zip(COLUMNS, (queries.ids, corpus.ids, corpus.ids), strict=True))
    reading = csv.ReadOptions(column_names=list(COLUMNS), block_size=BLOCK)
    parsing = csv.ParseOptions(delimiter="\t", quote_char=False)
    texts = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.large_string()), strings_can_be_null=False)
    line = 1
    try:
        with progress(None, f"read {path.name}", "lines") as bar, for_arrow(path) as file:
            for batch in csv.open_csv(file, reading, parsing, texts):
                named = {key: pa.compute.utf8_trim_whitespace(batch.column(key)) for key in tables}
                found = {key: pa.compute.index_in(named[key], value_set=ids) for key, ids in tables.items()}
                keep = _known(path, line, batch, found, complaints)
                yield tuple(column.fill_null(0).to_numpy()[keep].astype(np.int64) for column in found.values())
                line += len(batch)
                bar.update(len(batch))
    except DAMAGED as error:
        raise DataError(f"{path}: truncated or damaged ({error}); copy or download it again") from error
    except pa.ArrowInvalid as error:
        what = str(error).split("\n")[0]
        raise DataError(f"{path}: not read as triples: {what}; write QUERY<tab>DOCUMENT<tab>DOCUMENT by id") from error


def _known(
    path: Path, first: int, batch: pa.RecordBatch, found: dict[str, pa.Array], complaints: Complaints
) -> np.ndarray:
    keep = np.ones(len(batch), bool)
    for key, column in found.items():
        for row in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False) & keep):
            name, kind = batch.column(key)[int(row)].as_py(), "query" if key == "query" else "document"
            where = "among the queries" if kind == "query" else "in the corpus"
            what = f"{kind} {name!r} is not {where}"
            complaints.about(path, first + int(row), BadRow(f"unknown {kind}", what, "add it or remove the row"))
            keep[row] = False
    return keep
