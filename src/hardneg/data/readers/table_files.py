"""Rows of table files, by pyarrow and `datasets`: CSV, TSV, JSON, JSONL, Parquet, Arrow."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.data.readers.columns import LONGEST_NAME
from hardneg.data.readers.fields import Source
from hardneg.data.readers.lines import BadRow, Complaints, json_lines
from hardneg.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {".csv": ",", ".tsv": "\t"}
KINDS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather")


def kind_of(path: Path) -> str | None:
    """The ending that says what a file is, without `.gz`; None for one that is no table."""
    name = path.name.lower().removesuffix(".gz")
    return next((kind for kind in KINDS if name.endswith(kind)), None)


def table_rows(path: Path, complaints: Complaints) -> Source:
    """Open one file; rows are numbered as in the file, from 1, or from 0 in formats without lines (`dataset[0]`).

    Complains about rows that are wrong. Raises `DataError` for a file that cannot be read as what its ending says.
    """
    kind = kind_of(path)
    if kind in DELIMITERS:
        return Source(str(path), _separated(path, DELIMITERS[kind], complaints))
    if kind in (".jsonl", ".ndjson"):
        return Source(str(path), json_lines(path, complaints))
    if kind == ".json":
        return Source(str(path), _json(path, complaints))
    return Source(str(path), _counted(_columnar(path, kind), path, complaints))


def _separated(path: Path, delimiter: str, complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cells stay the text that they are (007 is no 7); an empty one is null. The header is row 1."""
    import pyarrow as pa
    from pyarrow import csv

    bad: list[Any] = []

    def remember(row: Any) -> str:
        bad.append(row)
        return "skip"

    # One thread: only then does pyarrow know the number of a row that it refuses.
    reading = csv.ReadOptions(use_threads=False, block_size=1 << 24)
    parsing = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=remember)
    try:
        header = csv.open_csv(path, reading, parsing).schema.names
        bad.clear()
        _check_header(path, header, delimiter)
        texts = csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        number = 1
        for batch in csv.open_csv(path, reading, parsing, texts):
            for row in batch.to_pylist():
                number += 1
                yield number, {key: cell or None for key, cell in row.items()}
    except (pa.ArrowInvalid, OSError) as error:
        what = str(error).split("\n")[0]
        if "Empty CSV file" in what:
            complaints.about(path, 1, BadRow("empty file", "the file is empty", "write its rows or delete it"))
            return
        mend = "save it as UTF-8, with a header, quotes around cells that hold the delimiter, and as many cells a row"
        raise DataError(f"{path}: not read as {path.suffix}: {what}; {mend}") from error
    for row in bad:
        what = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        complaints.about(path, row.number, BadRow("wrong column count", what, "put cells with delimiters in quotes"))
    if number == 1 and not bad:
        complaints.about(path, 1, BadRow("empty file", "the file has a header but no rows", "write its rows"))


def _check_header(path: Path, header: list[str], delimiter: str) -> None:
    if long := [name for name in header if len(name) > LONGEST_NAME]:
        what = f"the first line looks like a row and not like names of columns ({long[0][:LONGEST_NAME]!r}...)"
        raise DataError(f"{path}:1: {what}; write a header, such as query{delimiter.replace(chr(9), '<tab>')}positive")
    if len(header) == 1 and (other := next((c for c in ";\t,|" if c in header[0]), None)):
        raise DataError(
            f"{path}:1: one column, {header[0]!r}: the cells seem to be parted by {other!r} and not by {delimiter!r};"
            " save it with commas as .csv or with tabs as .tsv"
        )
    if len(set(header)) < len(header):
        raise DataError(f"{path}:1: the header names a column twice ({', '.join(header)}); give each its own name")


def _json(path: Path, complaints: Complaints) -> Iterator[tuple[int, Any]]:
    """A list of objects, as DPR's files are; or, under the same ending, an object a line."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            start = stream.read(4096).lstrip("\ufeff \t\r\n")[:1]
            stream.seek(0)
            values = json.load(stream) if start == "[" else None
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: broken JSON ({error}); write a list of objects, or one object a line") from error
    if values is None:
        yield from json_lines(path, complaints)
        return
    for number, row in enumerate(values):
        if isinstance(row, dict):
            yield number, row
        else:
            what = f"the item is a JSON {type(row).__name__}, not an object"
            complaints.about(path, number, BadRow("not an object", what, "write a list of objects"))
    if not values:
        complaints.about(path, 0, BadRow("empty file", "the list is empty", "write its rows or delete the file"))


def _columnar(path: Path, kind: str | None) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if kind == ".parquet":
            with parquet.ParquetFile(path) as file:
                yield from file.iter_batches(1000)
            return
        with pa.memory_map(str(path)) as mapped:
            try:
                file = pa.ipc.open_file(mapped)
            except pa.ArrowInvalid:  # `datasets` writes streams
                yield from pa.ipc.open_stream(mapped)
            else:
                yield from (file.get_batch(number) for number in range(file.num_record_batches))
    except (pa.ArrowInvalid, OSError) as error:
        what = str(error).split("\n")[0]
        raise DataError(f"{path}: not read as {kind}: {what}; write it again, or as another format") from error


def _counted(batches: Iterable[Any], path: Path, complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            yield number, row
            number += 1
    if not number:
        complaints.about(path, 0, BadRow("empty file", "the table has no rows", "write its rows or delete the file"))
