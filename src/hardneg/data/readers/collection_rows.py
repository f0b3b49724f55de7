"""Rows of a collection's documents and queries: TSV without a header, JSON or SGML, told by how the file begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hardneg.data.readers.fields import DOCUMENT_IDS, RowSource, each_once, id_in
from hardneg.data.readers.lines import BadRow, Complaints, form_of, text_lines
from hardneg.data.readers.quotes import Lines, are_quotes_of_lines, unpacked
from hardneg.data.readers.table_files import json_rows
from hardneg.data.readers.trec import trec_documents, trec_topics

Rows = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Kind:
    """The names that an id and a text may have, and the columns without names, by their number and in words."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    columns: Mapping[int, tuple[str, ...]]
    expected: str


# The columns are those of MS MARCO's passages, documents and queries.
DOCUMENTS = Kind(
    DOCUMENT_IDS,
    ("text", "passage", "segment", "body", "contents"),
    {2: ("_id", "text"), 4: ("_id", "url", "title", "text")},
    "ID<tab>TEXT, or ID<tab>URL<tab>TITLE<tab>TEXT",
)
QUERIES = Kind(
    ("query_id", "_id", "id", "qid", "query-id"),
    ("text", "query", "question", "title"),
    {2: ("_id", "text")},
    "ID<tab>TEXT",
)


def documents(paths: list[Path], complaints: Complaints) -> RowSource:
    """Open files of documents as rows {_id, title?, text}."""
    return _opened(paths, DOCUMENTS, trec_documents, complaints)


def queries(paths: list[Path], fields: tuple[str, ...], complaints: Complaints) -> RowSource:
    """Open files of queries as rows {_id, text}; `fields` are read of a topic. A query in two files counts once."""

    def topics(path: Path, complaints: Complaints) -> Rows:
        return trec_topics(path, fields, complaints)

    source = _opened(paths, QUERIES, topics, complaints)
    return source if len(paths) == 1 else replace(source, rows=each_once(source.rows))


def _opened(
    paths: list[Path], kind: Kind, sgml: Callable[[Path, Complaints], Rows], complaints: Complaints
) -> RowSource:
    def rows(path: Path) -> Rows:
        form = form_of(path)
        if form == "sgml":
            return sgml(path, complaints)
        return (_objects if form in ("list", "objects") else _columns)(path, kind, complaints)

    return RowSource.of_files(paths, rows)


def _columns(path: Path, kind: Kind, complaints: Complaints) -> Rows:
    """Cells are separated by tabs alone: quotes in these files are part of the text.

    A first line that names an id and a text is a header, as of DPR's psgs_w100.tsv (id, text, title), where cells are
    quoted as in CSV; with a header quotes are removed where every cell that begins with one is quoted as a whole.
    """
    header: tuple[str, ...] | None = None
    columns, expected, quoted = kind.columns, kind.expected, False
    for line, text in text_lines(path, complaints):
        cells = text.split("\t")
        if line == 1 and (header := _header(cells, kind)):
            columns, expected = {len(header): header}, f"{'<tab>'.join(header)} as the header says"
            quoted = are_quotes_of_lines(Lines(path, "utf8"))
            continue
        if quoted:
            cells = [unpacked(cell) for cell in cells]
        if len(cells) not in columns:
            what = f"{len(cells)} columns where {' or '.join(map(str, columns))} are expected"
            without = "" if header else ", without a header"
            complaints.about(path, line, BadRow("wrong column count", what, f"write {expected}{without}"))
            continue
        yield line, dict(zip(columns[len(cells)], (cells[0].strip(), *cells[1:]), strict=True))


def _header(cells: list[str], kind: Kind) -> tuple[str, ...] | None:
    """Our names of a header's columns; None for a line that is a row."""
    said = [cell.strip().lower() for cell in cells]
    text = next((name for name in kind.texts if name in said), None)
    if said[0] not in kind.ids or text is None:
        return None
    return ("_id", *("text" if name == text else name for name in said[1:]))


def _objects(path: Path, kind: Kind, complaints: Complaints) -> Rows:
    for line, row in json_rows(path, complaints):
        text = next((key for key in kind.texts if key in row), kind.texts[0])
        name = id_in(row, kind.ids)
        named = name is not None or any(key in row for key in kind.ids)
        out = {"_id": name.strip() if isinstance(name, str) else name} if named else {}
        yield line, out | {"text": row[text]} | _title(row, text) if text in row else out


def _title(row: dict[str, Any], text: str) -> dict[str, Any]:
    return {"title": row["title"]} if "title" in row and text != "title" else {}
