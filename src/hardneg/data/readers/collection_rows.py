"""Rows of a collection's documents and queries: TSV without a header, JSON or SGML, told by how the file begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardneg.data.readers.fields import DOCUMENT_IDS, Source, id_in
from hardneg.data.readers.lines import BadRow, Complaints, form_of, text_lines
from hardneg.data.readers.quotes import Lines, are_quotes_of_lines, unpacked
from hardneg.data.readers.table_files import json_rows
from hardneg.data.readers.trec import trec_documents, trec_topics

Rows = Iterator[tuple[int, dict[str, Any]]]

DOCUMENT_TEXTS = ("text", "passage", "segment", "body", "contents")
QUERY_IDS = ("query_id", "_id", "id", "qid", "query-id")
QUERY_TEXTS = ("text", "query", "question", "title")
Names = tuple[tuple[str, ...], tuple[str, ...]]
DOCUMENTS: Names = (DOCUMENT_IDS, DOCUMENT_TEXTS)
QUERIES: Names = (QUERY_IDS, QUERY_TEXTS)
# Columns by their number: MS MARCO's passages, queries and documents.
DOCUMENT_COLUMNS = {2: ("_id", "text"), 4: ("_id", "url", "title", "text")}
QUERY_COLUMNS = {2: ("_id", "text")}


def documents(paths: list[Path], complaints: Complaints) -> Source:
    """Open files of documents as rows {_id, title?, text}."""

    def rows(path: Path) -> Rows:
        form = form_of(path)
        if form == "sgml":
            return trec_documents(path, complaints)
        if form in ("list", "objects"):
            return _objects(path, *DOCUMENTS, complaints)
        return _columns(path, DOCUMENTS, DOCUMENT_COLUMNS, "ID<tab>TEXT, or ID<tab>URL<tab>TITLE<tab>TEXT", complaints)

    return _joined(paths, rows)


def queries(paths: list[Path], fields: tuple[str, ...], complaints: Complaints) -> Source:
    """Open files of queries as rows {_id, text}; `fields` are read of a topic. A query in two files counts once."""

    def rows(path: Path) -> Rows:
        form = form_of(path)
        if form == "sgml":
            return trec_topics(path, fields, complaints)
        if form in ("list", "objects"):
            return _objects(path, *QUERIES, complaints)
        return _columns(path, QUERIES, QUERY_COLUMNS, "ID<tab>TEXT", complaints)

    source = _joined(paths, rows)
    return source if len(paths) == 1 else replace(source, rows=_once(source.rows))


def _joined(paths: list[Path], rows: Callable[[Path], Rows]) -> Source:
    """Chain files."""
    if len(paths) == 1:
        return Source(str(paths[0]), rows(paths[0]))
    return Source.chained(str(paths[0].parent), ((str(path), rows(path)) for path in paths))


def _once(rows: Any) -> Rows:
    seen: dict[str, str] = {}
    for line, row in rows:
        name, text = repr(row.get("_id")), str(row.get("text"))  # missing, or of a wrong type: checked later
        if seen.get(name) == text:
            continue
        seen[name] = text
        yield line, row


def _columns(
    path: Path, names: Names, layouts: Mapping[int, tuple[str, ...]], expected: str, complaints: Complaints
) -> Rows:
    """Cells are separated by tabs alone: quotes in these files are part of the text.

    A first line that names an id and a text is a header, as of DPR's psgs_w100.tsv (id, text, title), where cells are
    quoted as in CSV; with a header quotes are removed where every cell that begins with one is quoted as a whole.
    """
    header: tuple[str, ...] | None = None
    quoted = False
    for line, text in text_lines(path, complaints):
        cells = text.split("\t")
        if line == 1 and (header := _header(cells, names)):
            layouts, expected = {len(header): header}, f"{'<tab>'.join(header)} as the header says"
            quoted = are_quotes_of_lines(Lines(path, "utf8"))
            continue
        if quoted:
            cells = [unpacked(cell) for cell in cells]
        if len(cells) not in layouts:
            what = f"{len(cells)} columns where {' or '.join(map(str, layouts))} are expected"
            without = "" if header else ", without a header"
            complaints.about(path, line, BadRow("wrong column count", what, f"write {expected}{without}"))
            continue
        yield line, dict(zip(layouts[len(cells)], (cells[0].strip(), *cells[1:]), strict=True))


def _header(cells: list[str], names: Names) -> tuple[str, ...] | None:
    """Our names of a header's columns; None for a line that is a row."""
    ids, texts = names
    said = [cell.strip().lower() for cell in cells]
    text = next((name for name in texts if name in said), None)
    if said[0] not in ids or text is None:
        return None
    return ("_id", *("text" if name == text else name for name in said[1:]))


def _objects(path: Path, ids: tuple[str, ...], texts: tuple[str, ...], complaints: Complaints) -> Rows:
    for line, row in json_rows(path, complaints):
        text = next((key for key in texts if key in row), texts[0])
        name = id_in(row, ids)
        named = name is not None or any(key in row for key in ids)
        out = {"_id": name.strip() if isinstance(name, str) else name} if named else {}
        yield line, out | {"text": row[text]} | _title(row, text) if text in row else out


def _title(row: dict[str, Any], text: str) -> dict[str, Any]:
    return {"title": row["title"]} if "title" in row and text != "title" else {}
