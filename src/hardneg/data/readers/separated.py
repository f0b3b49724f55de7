"""CSV and TSV as found in practice: what separates the cells, whether quotes are quotes, whether there is a header."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.data.readers.columns import LONGEST_NAME, MOST_WORDS, is_known, is_number, is_usual
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.packed import DAMAGED, for_arrow, opened, packing
from hardneg.data.readers.quotes import WHOLE, Lines, are_quotes, first_line
from hardneg.errors import DataError

if TYPE_CHECKING:
    from pyarrow.csv import ParseOptions, ReadOptions

log = logging.getLogger(__name__)

DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHERS = ";\t,|"  # delimiters that are tried where the one of the ending does not fit
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how a spreadsheet's "Unicode text" begins
SPREADSHEET = re.compile(r"sep=(.)")  # Excel's first line, which says the delimiter
TRIPLES = ("query", "positive", "negative")  # of TSV without a header, as MS MARCO's triples are published
HEAD = 1000  # lines by which quotes are judged where only the first rows are asked for
MEND = "save it as UTF-8, with a header, quotes around cells that hold the delimiter, and as many cells a row"


@dataclass(frozen=True)
class Dialect:
    """How a file is written; `names` are those of columns without a header, `skip` lines come before all else."""

    delimiter: str
    encoding: str
    skip: int
    quoted: bool
    names: tuple[str, ...]


def separated_rows(
    path: Path, kind: str, complaints: Complaints, columns: Collection[str] | None, head: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cells stay the text that they are (007 is no 7); an empty one is null. The header is row 1.

    `columns` are names that the user gave, None where the columns have names of ours: only without names is TSV without
    a header recognised. `head` says that only the first rows will be asked for, so the others need not be looked at.

    Complains about rows with too many or too few cells. Raises `DataError` for a file that cannot be read.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    bad: list[Any] = []

    def remember(row: Any) -> str:
        bad.append(row)
        return "skip"

    try:
        layout = layout_of(path, kind, columns, head)
        reading, parsing = _options(layout, remember)
        with for_arrow(path) as file, arrow.open_csv(file, reading, parsing) as opened_file:
            header = opened_file.schema.names
        bad.clear()
        _check_header(path, header, layout.delimiter, columns, head)
        texts = arrow.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        lines = Lines(path, layout.encoding, layout.skip)
        complaints.starts[str(path)] = partial(first_line, lines, layout.delimiter, layout.quoted)
        before = number = layout.skip + (not layout.names)
        refused = 0
        with for_arrow(path) as file, arrow.open_csv(file, reading, parsing, texts) as batches:
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    while refused < len(bad) and bad[refused].number == number:
                        number, refused = number + 1, refused + 1
                    yield number, {key: cell or None for key, cell in row.items()}
    except DAMAGED as error:
        how = packing(path) or "plain"
        raise DataError(
            f"{path}: the {how} file is truncated or damaged ({error}); copy or download it again"
        ) from error
    except pa.ArrowInvalid as error:
        what = str(error).split("\n")[0]
        if "Empty CSV file" in what:
            complaints.about(path, 1, BadRow("empty file", "the file is empty", "write its rows or delete it"))
            return
        raise DataError(f"{path}: not read as {kind}: {what}; {MEND}") from error
    for row in bad:
        what = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        complaints.about(path, row.number, BadRow("wrong column count", what, "put cells with delimiters in quotes"))
    if number == before and not bad:
        complaints.about(path, 1, BadRow("empty file", "the file has a header but no rows", "write its rows"))


def _options(layout: Dialect, refused: Callable[[Any], str]) -> tuple[ReadOptions, ParseOptions]:
    """The layout in pyarrow's words; `refused` is told of rows with another number of cells."""
    from pyarrow.csv import ParseOptions, ReadOptions

    reading = ReadOptions(
        use_threads=False,  # one thread: only then does pyarrow know the number of a row that it refuses
        block_size=1 << 24,
        encoding=layout.encoding,
        skip_rows=layout.skip,
        column_names=list(layout.names) or None,
    )
    parsing = ParseOptions(
        delimiter=layout.delimiter,
        quote_char='"' if layout.quoted else False,
        newlines_in_values=layout.quoted,
        invalid_row_handler=refused,
    )
    return reading, parsing


def layout_of(path: Path, kind: str, columns: Collection[str] | None, head: bool) -> Dialect:
    """Tell how a file is written, by its first lines, and for quotes by all lines, or with `head` by `HEAD` of them.

    The first line is the header where it has one of the names `columns`; without any it may be a row.
    """
    encoding = _encoding(path)
    with Lines(path, encoding).read() as lines:
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
        names = _names(path, header, columns, kind)
    quoted = are_quotes(Lines(path, encoding, skip, skip + HEAD if head else None), delimiter, len(header))
    return Dialect(delimiter, encoding, skip, quoted, names)


def _delimiter(first: str, second: str, usual: str) -> str:
    """The delimiter that gives both lines equally many cells, else one in the first; preferably that of the ending."""
    counts = {sign: [WHOLE.sub("", line).count(sign) for line in (first, second)] for sign in (usual, *OTHERS)}
    present = [sign for sign, (one, _) in counts.items() if one]
    return next((sign for sign in present if counts[sign][0] == counts[sign][1]), (present or [usual])[0])


def _names(path: Path, cells: list[str], columns: Collection[str] | None, kind: str) -> tuple[str, ...]:
    """The names of the columns where the first line is a row and not a header, as in MS MARCO's triples; else none."""
    texts = [cell.strip('"') for cell in cells]
    by_order = columns is not None and not columns and kind == ".tsv"
    may_be_row = by_order and not any(is_known(text) for text in texts)
    words = may_be_row and any(len(text.split()) > 1 for text in texts) and not any(map(is_number, texts))
    if words or _too_long(texts, columns):
        names = TRIPLES[: len(cells)]
        log.info("%s: no header in the first line, which is read as a row; columns are %s", path, ", ".join(names))
        return names
    return ()


def _encoding(path: Path) -> str:
    with opened(path) as stream:
        start = stream.read(2)
    return "utf-16" if start in UTF_16 else "utf8"


def _too_long(cells: Sequence[str], columns: Collection[str] | None) -> list[str]:
    """The cells of a first line that are too long for names, where it is certainly not a header.

    Where columns may be read in order, one name makes no header: a query or an answer may be the word `positive`.
    """
    usual = sum(map(is_usual, cells))
    if columns is not None and not columns:
        certain = usual > 1 and all(is_known(cell) for cell in cells if len(cell) <= LONGEST_NAME)
    else:
        certain = usual > 0 or any(cell in (columns or ()) for cell in cells)
    return [] if certain else [cell for cell in cells if len(cell) > LONGEST_NAME]


def _check_header(path: Path, header: list[str], delimiter: str, columns: Collection[str] | None, head: bool) -> None:
    """Refuse a first line that is plainly a row, and say of one that may be a row that it is read as the header."""
    unknown = columns is not None and not columns and not any(map(is_known, header))
    sentences = [name for name in header if len(name.split()) > MOST_WORDS] if unknown else []
    names = delimiter.replace("\t", "<tab>").join(TRIPLES[: max(2, min(3, len(header)))])
    if long := _too_long(header, columns) or sentences:
        what = f"the first line looks like a row and not like names of columns ({long[0][:LONGEST_NAME]!r}...)"
        mend = f"write a header, such as {names}, or if it is one, say which of its columns is what by data.columns"
        raise DataError(f"{path}:1: {what}; {mend}")
    if unknown and not head and len(header) in (2, 3):
        shown = ", ".join(map(repr, header))
        log.info("%s: the first line (%s) is read as the header; if it is a row, write %s above", path, shown, names)
    if len(set(header)) < len(header):
        raise DataError(f"{path}:1: the header names a column twice ({', '.join(header)}); give each its own name")
