"""Quotes in CSV and TSV: whether they enclose cells or are text, and where one was left open by mistake."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hardneg.data.readers.packed import DAMAGED, opened
from hardneg.errors import DataError

WHOLE = re.compile(r'"(?:[^"]|"")*"')  # a cell in quotes


@dataclass(frozen=True)
class Lines:
    """The lines of a file after the first `skip`, up to number `last` (None: all), opened anew by each `read`."""

    path: Path
    encoding: str
    skip: int = 0
    last: int | None = None

    @contextmanager
    def read(self) -> Iterator[Iterator[str]]:
        """Lines with their ends as written, without a BOM; pyarrow is left to complain of other encodings."""
        stream: Any = opened(self.path)
        encoding = "utf-8-sig" if self.encoding == "utf8" else self.encoding
        with io.TextIOWrapper(stream, encoding, "replace", newline="") as text:
            yield islice(text, self.skip, self.last)


def are_quotes(lines: Lines, delimiter: str, columns: int) -> bool:
    """Whether cells in quotes are to be unpacked, or quotes are text.

    TSV is published both ways. Read the wrong way, a text that begins with a quote goes on to the next quote, over
    cells and lines, and rows are silently lost. In CSV such a cell is an error, for which `DataError` is raised.
    """
    if delimiter != "\t":
        _refuse_open_quotes(lines, delimiter)
        return True
    begin = whole = 0
    even = True
    for cells in _cells(lines):
        even &= len(cells) == columns
        quoted = [cell for cell in cells if cell.startswith('"')]
        begin += len(quoted)
        whole += sum(WHOLE.fullmatch(cell) is not None for cell in quoted)
    if even or not begin:  # no cell spans several lines
        return begin == whole
    return all(len(row) == columns for row in _strictly(lines, delimiter))


def are_quotes_of_lines(lines: Lines) -> bool:
    """Whether quotes enclose cells in TSV of which each line is a row: every cell that begins with one is `WHOLE`."""
    try:
        return all(WHOLE.fullmatch(cell) for cells in _cells(lines) for cell in cells if cell.startswith('"'))
    except DAMAGED:  # whoever reads the rows will say where
        return False


def first_line(lines: Lines, delimiter: str, quoted: bool, row: int) -> int:
    """The line that a row begins in; of rows, which `row` counts from the first line on, blank lines are none."""
    if quoted:
        starts = (found.first for found in _strictly(lines, delimiter))
        return next(islice(starts, row - lines.skip - 1, None), row)
    with lines.read() as read:
        starts = (number for number, line in enumerate(read, lines.skip + 1) if line.strip("\r\n"))
        return next(islice(starts, row - lines.skip - 1, None), row)


def unpacked(cell: str) -> str:
    """Return the text of a cell that may be in quotes."""
    return cell[1:-1].replace('""', '"') if WHOLE.fullmatch(cell) else cell


def _cells(lines: Lines) -> Iterator[list[str]]:
    with lines.read() as read:
        for line in read:
            if line.strip():
                yield line.rstrip("\r\n").split("\t")


def _refuse_open_quotes(lines: Lines, delimiter: str) -> None:
    for row in _strictly(lines, delimiter):
        if row.escaped:  # not read here: pyarrow would drop every lone backslash, too, which Spark writes as it is
            what = 'a quote within a cell has a backslash before it here (\\"), where CSV has it twice ("")'
            mend = """export it again with the quote as its escape character, from Spark by .option("escape", '"')"""
            raise DataError(f"{lines.path}:{row.first}: {what}; {mend}")
        if row.first != row.last and not row.closed:
            what = f"a cell that begins with a quote here does not end with one (looked for up to line {row.last})"
            mend = 'write each quote that is part of a text twice (""), and one more before and behind that text'
            raise DataError(f"{lines.path}:{row.first}: {what}; {mend}")


@dataclass(frozen=True)
class _Row:
    """The lines of a row, and the number of its cells; `closed` is False where a quoted cell does not end properly.

    `escaped`: it does where backslashes are taken to escape quotes.
    """

    first: int
    last: int
    cells: int
    closed: bool
    escaped: bool = False

    def __len__(self) -> int:
        return self.cells if self.closed else 0


def _strictly(lines: Lines, delimiter: str) -> Iterator[_Row]:
    """Read rows that are not blank as RFC 4180 says, except one that may go on after the lines that are looked at."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with lines.read() as read:
            taken: list[str] = []
            reader = csv.reader(_noted(read, taken), delimiter=delimiter, strict=True)
            while True:
                first = lines.skip + reader.line_num + 1
                taken.clear()
                try:
                    row = next(reader, None)
                except csv.Error:
                    if lines.skip + reader.line_num == lines.last:
                        return
                    text = "".join(taken)
                    cells = _without_blanks(text, delimiter)
                    escaped = not cells and '\\"' in text and bool(_without_blanks(text, delimiter, escape="\\"))
                    yield _Row(first, lines.skip + reader.line_num, cells or 0, bool(cells), escaped)
                    continue
                if row is None:
                    return
                if row:
                    yield _Row(first, lines.skip + reader.line_num, len(row), closed=True)
    finally:
        csv.field_size_limit(limit)


def _noted(lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _without_blanks(text: str, delimiter: str, escape: str | None = None) -> int | None:
    """The number of cells of a row that is correct but for blanks after closing quotes; else None."""
    mended = re.sub(rf'" +(?=[{re.escape(delimiter)}\r\n]|$)', '"', text)
    try:
        rows = list(csv.reader(io.StringIO(mended, newline=""), delimiter=delimiter, escapechar=escape, strict=True))
    except csv.Error:
        return None
    return len(rows[0]) if len(rows) == 1 else None
