"""Rows of table files, by pyarrow and `datasets`: CSV, TSV, JSON, JSONL, Parquet, Arrow."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import KINDS
from hardneg.data.readers.lines import BadRow, Complaints, check_surrogates, form_of, has_surrogates, json_lines
from hardneg.data.readers.packed import DAMAGED, opened, unpacked_name
from hardneg.data.readers.separated import DELIMITERS, separated_rows
from hardneg.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def kind_of(path: Path) -> str | None:
    """The ending that tells the kind of a file, without that of a packing; None for what is not a table."""
    name = unpacked_name(path.name.lower())
    return next((kind for kind in KINDS if name.endswith(kind)), None)


def table_rows(
    path: Path, complaints: Complaints, columns: Collection[str] | None = None, head: bool = False
) -> RowSource:
    """Open one file; rows are numbered as in the file, from 1, or from 0 in formats without lines (`dataset[0]`).

    `columns` are names that the user gave; without any, columns may go by their order, and where it is None they have
    names of ours. `head` says that only the first rows will be asked for, which then come at once.

    Complains about wrong rows. Raises `DataError` for a file that cannot be read as its ending says.
    """
    kind = kind_of(path)
    if kind in DELIMITERS:
        return RowSource(str(path), separated_rows(path, kind, complaints, columns, head))
    if kind in (".jsonl", ".ndjson"):
        return RowSource(str(path), json_lines(path, complaints))
    if kind == ".json":
        return RowSource(str(path), json_rows(path, complaints))
    return RowSource(str(path), _counted(_columnar(path, kind), path, complaints))


def json_rows(path: Path, complaints: Complaints) -> Iterator[tuple[int, Any]]:
    """Yield number and object of a list of them, as in DPR's files; or of each line of a file with an object a line.

    Complains about what is no object, of a list by its item. Raises `DataError` for a list that is broken JSON.
    """
    if form_of(path) != "list":
        yield from json_lines(path, complaints)
        return
    complaints.lists.add(str(path))
    try:
        stream: Any = opened(path)
        with io.TextIOWrapper(stream, encoding="utf-8-sig") as file:
            text = file.read()
        values, escaped = json.loads(text), has_surrogates(text)
        del text  # it is as large as the values
    except (ValueError, RecursionError, *DAMAGED) as error:
        raise DataError(f"{path}: broken JSON ({error}); write a list of objects, or one object a line") from error
    for number, row in enumerate(values):
        try:
            if not isinstance(row, dict):
                what = f"the item is a JSON {type(row).__name__}, not an object"
                raise BadRow("not an object", what, "write a list of objects")
            if escaped:
                check_surrogates(row)
        except BadRow as bad:
            complaints.about(path, number, bad)
        else:
            yield number, row
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
