"""CSV and TSV as they are met: which sign parts the cells, whether quotes are quotes, whether there is a header."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hardneg.data.readers.columns import LONGEST_NAME, is_known, is_number
from hardneg.data.readers.lines import BadRow, Complaints, opened
from hardneg.errors import DataError

log = logging.getLogger(__name__)

DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHERS = ";\t,|"  # what parts the cells where the ending's own sign does not
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how "Unicode text" of a spreadsheet begins
SPREADSHEET = re.compile(r"sep=(.)")  # Excel's first line, which says the delimiter
TRIPLES = ("query", "positive", "negative")  # of TSV without a header, as MS MARCO's triples are published
WHOLE = re.compile(r'"(?:[^"]|"")*"')  # a cell in quotes
MEND = "save it as UTF-8, with a header, quotes around cells that hold the delimiter, and as many cells a row"


@dataclass(frozen=True)
class Layout:
    """How a file is written; `names` are of columns that it has no header for, `skip` lines stand before all."""

    delimiter: str
    encoding: str = "utf8"
    skip: int = 0
    quoted: bool = True
    names: tuple[str, ...] = ()


def separated_rows(
    path: Path, kind: str, complaints: Complaints, named: bool = True
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cells stay the text that they are (007 is no 7); an empty one is null. The header is row 1.

    `named` says that the columns have names: TSV without a header is recognised only where they need none.

    Complains about rows with too many or too few cells. Raises `DataError` for a file that cannot be read.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    bad: list[Any] = []

    def remember(row: Any) -> str:
        bad.append(row)
        return "skip"

    try:
        layout = layout_of(path, kind, named)
        # One thread: only then does pyarrow know the number of a row that it refuses.
        reading = arrow.ReadOptions(
            use_threads=False,
            block_size=1 << 24,
            encoding=layout.encoding,
            skip_rows=layout.skip,
            column_names=list(layout.names) or None,
        )
        parsing = arrow.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if layout.quoted else False,
            newlines_in_values=layout.quoted,
            invalid_row_handler=remember,
        )
        header = arrow.open_csv(path, reading, parsing).schema.names
        bad.clear()
        _check_header(path, header, layout.delimiter)
        texts = arrow.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        before = number = layout.skip + (not layout.names)
        for batch in arrow.open_csv(path, reading, parsing, texts):
            for row in batch.to_pylist():
                number += 1
                yield number, {key: cell or None for key, cell in row.items()}
    except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
        what = str(error).split("\n")[0]
        if "Empty CSV file" in what:
            complaints.about(path, 1, BadRow("empty file", "the file is empty", "write its rows or delete it"))
            return
        raise DataError(f"{path}: not read as {path.suffix}: {what}; {MEND}") from error
    for row in bad:
        what = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        complaints.about(path, row.number, BadRow("wrong column count", what, "put cells with delimiters in quotes"))
    if number == before and not bad:
        complaints.about(path, 1, BadRow("empty file", "the file has a header but no rows", "write its rows"))


def layout_of(path: Path, kind: str, named: bool = True) -> Layout:
    """Tell how a file is written, by its first lines and, where cells begin with quotes, by all of them.

    `named` says that the columns have names, so that the first line is the header unless it is too long for one.
    """
    encoding = _encoding(path)
    with _lines(path, encoding) as lines:
        skip, first = next(((number, line) for number, line in enumerate(lines) if line.strip()), (0, ""))
        second = next((line for line in lines if line.strip()), "")
    if said := SPREADSHEET.fullmatch(first.strip()):
        delimiter, skip, first = said[1], skip + 1, second
    else:
        delimiter = _delimiter(first, second, DELIMITERS[kind])
        if delimiter != DELIMITERS[kind]:
            log.info("%s: reading cells as separated by %r, as the first lines are", path, delimiter)
    header = first.rstrip("\r\n").split(delimiter)
    names: tuple[str, ...] = ()
    if delimiter == "\t" and len(header) in (2, 3):
        names = _names(path, header, named or kind != ".tsv")
    quoted = _are_quotes(path, Layout(delimiter, encoding, skip), len(header))
    return Layout(delimiter, encoding, skip, quoted, names)


def _delimiter(first: str, second: str, usual: str) -> str:
    """The sign that gives both lines as many cells, else one that is in the first; the ending's own where it may be."""
    counts = {sign: [WHOLE.sub("", line).count(sign) for line in (first, second)] for sign in (usual, *OTHERS)}
    present = [sign for sign, (one, _) in counts.items() if one]
    return next((sign for sign in present if counts[sign][0] == counts[sign][1]), (present or [usual])[0])


def _names(path: Path, cells: list[str], named: bool) -> tuple[str, ...]:
    """The names of the columns where the first line is a row and no header, as in MS MARCO's triples; else none."""
    texts = [cell.strip('"') for cell in cells]
    may_be_row = not named and not any(is_known(text) for text in texts)
    words = may_be_row and any(len(text.split()) > 1 for text in texts) and not any(map(is_number, texts))
    if words or any(len(cell) > LONGEST_NAME for cell in cells):
        names = TRIPLES[: len(cells)]
        log.info("%s: no header in the first line, which is read as a row; columns are %s", path, ", ".join(names))
        return names
    if may_be_row:
        example, shown = "<tab>".join(TRIPLES[: len(cells)]), ", ".join(map(repr, texts))
        log.info("%s: the first line (%s) is read as the header; if it is a row, write %s above", path, shown, example)
    return ()


def _are_quotes(path: Path, layout: Layout, columns: int) -> bool:
    """Whether cells in quotes are to be unpacked, or quotes are text.

    TSV is published both ways. Read the wrong way, a text that begins with a quote goes on to the next quote, over
    cells and lines, and rows are gone without a word. In CSV such a cell is an error, for which `DataError` is raised.
    """
    if layout.delimiter != "\t":
        _refuse_open_quotes(path, layout)
        return True
    begin = whole = 0
    even = True
    with _lines(path, layout.encoding) as lines:
        for cells in (line.rstrip("\r\n").split("\t") for line in islice(lines, layout.skip, None) if line.strip()):
            even &= len(cells) == columns
            quoted = [cell for cell in cells if cell.startswith('"')]
            begin += len(quoted)
            whole += sum(WHOLE.fullmatch(cell) is not None for cell in quoted)
    if even or not begin:  # no cell goes over several lines
        return begin == whole
    return all(len(row) == columns for row in _strictly(path, layout))


def _refuse_open_quotes(path: Path, layout: Layout) -> None:
    for row in _strictly(path, layout):
        if row.first != row.last and not row.closed:
            what = f"a cell that begins with a quote here does not end with one (looked for up to line {row.last})"
            mend = 'write each quote that is part of a text twice (""), and one more before and behind that text'
            raise DataError(f"{path}:{row.first}: {what}; {mend}")


@dataclass(frozen=True)
class _Row:
    """The lines of a row, and how many cells it has; `closed` is False where a quoted one does not end as it should."""

    first: int
    last: int
    cells: int
    closed: bool

    def __len__(self) -> int:
        return self.cells if self.closed else 0


def _strictly(path: Path, layout: Layout) -> Iterator[_Row]:
    """Read rows that are not blank as RFC 4180 says."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with _lines(path, layout.encoding) as lines:
            taken: list[str] = []
            reader = csv.reader(
                _noted(islice(lines, layout.skip, None), taken), delimiter=layout.delimiter, strict=True
            )
            while True:
                first = layout.skip + reader.line_num + 1
                taken.clear()
                try:
                    row = next(reader, None)
                except csv.Error:
                    cells = _without_blanks("".join(taken), layout.delimiter)
                    yield _Row(first, layout.skip + reader.line_num, cells or 0, closed=bool(cells))
                    continue
                if row is None:
                    return
                if row:
                    yield _Row(first, layout.skip + reader.line_num, len(row), closed=True)
    finally:
        csv.field_size_limit(limit)


def _noted(lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _without_blanks(text: str, delimiter: str) -> int | None:
    """How many cells a row has that is as it should be but for blanks behind closing quotes; else None."""
    mended = re.sub(rf'" +(?=[{re.escape(delimiter)}\r\n]|$)', '"', text)
    try:
        rows = list(csv.reader(io.StringIO(mended, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return len(rows[0]) if len(rows) == 1 else None


def _encoding(path: Path) -> str:
    with opened(path) as stream:
        start = stream.read(2)
    return "utf-16" if start in UTF_16 else "utf8"


@contextmanager
def _lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """Lines with their ends as written, without a BOM; what is no such text is left to pyarrow to complain about."""
    stream: Any = opened(path)
    with io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf8" else encoding, "replace", newline="") as text:
        yield text


def _check_header(path: Path, header: list[str], delimiter: str) -> None:
    if long := [name for name in header if len(name) > LONGEST_NAME]:
        what = f"the first line looks like a row and not like names of columns ({long[0][:LONGEST_NAME]!r}...)"
        names = delimiter.replace("\t", "<tab>").join(TRIPLES[: max(2, min(3, len(header)))])
        raise DataError(f"{path}:1: {what}; write a header, such as {names}")
    if len(set(header)) < len(header):
        raise DataError(f"{path}:1: the header names a column twice ({', '.join(header)}); give each its own name")
