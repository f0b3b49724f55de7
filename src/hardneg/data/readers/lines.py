"""Files line by line: strict UTF-8, numbered from 1, and one place that decides what happens to a bad line."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from hardneg.data.readers.packed import DAMAGED, opened, packing, position, unpacked_name
from hardneg.errors import ConfigError, DataError
from hardneg.system.cache_folder import HANDED_IN
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import progress

log = logging.getLogger(__name__)

ON_ERROR = ("raise", "skip")
COLUMNAR = (".parquet", ".arrow", ".feather")  # formats without lines, whose rows count from 0, as in pandas
LOOK = 4096  # lines between two looks at how far a file is


class BadRow(Exception):
    """One row is wrong: it is counted under the key `reason`; the message says what is wrong and how to mend it."""

    def __init__(self, reason: str, what: str, mend: str, in_one_row: bool = True) -> None:
        super().__init__(f"{what}; {mend}")
        self.reason = reason
        self.in_one_row = in_one_row  # else all rows are so, and to leave them out would leave none


def bad_rows(skipped: Mapping[str, int]) -> str:
    """Say how many rows are left out and why, in words: 2 bad rows (broken JSON: 2)."""
    number, counts = sum(skipped.values()), ", ".join(f"{reason}: {n:,}" for reason, n in skipped.items())
    return f"{counted(number, 'bad row')} ({counts})"


def called(source: str | Path) -> str:
    """What a file is called: by its path, but `train` where it is ours of a table that was handed in from Python."""
    path = Path(source)
    ours = path.suffix == ".parquet" and path.parent.parent.name == HANDED_IN
    return path.stem if ours else str(source)


class Complaints:
    """What happens to a bad row: stop with file and line (`raise`), or leave it out and count it (`skip`).

    Raises `ConfigError` for any other `on_error`.
    """

    def __init__(self, on_error: str) -> None:
        if on_error not in ON_ERROR:
            raise ConfigError(f"data.on_error is {on_error!r}; write one of: {', '.join(ON_ERROR)}")
        self.on_error = on_error
        self.skipped: Counter[str] = Counter()
        self.lists: set[str] = set()  # files that are one JSON list, whose rows are items counted from 0
        self.tables: set[str] = set()  # sets of `datasets` and `ir_datasets`, whose rows count from 0
        self.starts: dict[str, Callable[[int], int]] = {}  # of files whose rows may span lines: row to its first line

    def row(self, source: str | Path, line: int) -> str:
        """Say which row of a file: `line 3`, `item 3` of a list, or `row 3 (from 0)` of what has no lines."""
        if self._is_table(source):
            return f"row {line} (from 0)"
        return f"item {line + 1}" if str(source) in self.lists else f"line {self._start(source, line)}"

    def place(self, source: str | Path, line: int) -> str:
        """Say where a row is, as an error begins: `source:3`, or `source: item 3` of a file whose rows are not lines.

        Of a table that was handed in from Python: `train, row 3 (from 0)`, as its user does not know our file of it.
        """
        path = Path(source)
        if (named := called(source)) != str(source):
            return f"{named}, {self.row(path, line)}"
        if str(source) in self.lists or self._is_table(source):
            return f"{source}: {self.row(source, line)}"
        return f"{source}:{self._start(source, line)}"

    def _is_table(self, source: str | Path) -> bool:
        return str(source) in self.tables or Path(source).suffix.lower() in COLUMNAR

    def _start(self, source: str | Path, line: int) -> int:
        return self.starts[str(source)](line) if str(source) in self.starts else line

    def about(self, source: str | Path, line: int, bad: BadRow) -> None:
        """Raise `DataError` beginning with the row's place, or count the row as skipped."""
        if self.on_error == "raise":
            skip = ", or leave such rows out with data.on_error=skip" if bad.in_one_row else ""
            raise DataError(f"{self.place(source, line)}: {bad}{skip}") from None
        self.skipped[bad.reason] += 1

    def report(self, name: str) -> None:
        """Log once what was left out, if anything."""
        if self.skipped:
            log.warning("data set %r: skipped %s", name, bad_rows(dict(self.skipped.most_common())))


class Strict(Complaints):
    """Every bad row ends the reading: half a ranking would be compared as if it were whole."""

    def __init__(self) -> None:
        super().__init__("raise")

    def about(self, source: str | Path, line: int, bad: BadRow) -> NoReturn:
        """Raise `DataError` beginning with `source:line:`."""
        raise DataError(f"{source}:{line}: {bad}") from None


def text_lines(path: Path, complaints: Complaints, otherwise: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is not blank, without its line end or a BOM at the start of the file.

    Complains about invalid UTF-8 (unless such lines are read in the encoding `otherwise`), a file without any line, and
    a damaged packed one (the lines before the damage are read). Raises `DataError` if the file cannot be opened.
    """
    line, found = 0, False
    with opened(path) as stream, progress(path.stat().st_size, f"read {path.name}", "bytes") as bar:
        try:
            for line, raw in enumerate(stream, 1):
                if line % LOOK == 0 and (place := position(stream)) is not None:
                    bar.update(place - bar.done)
                try:
                    text = _decoded(raw, "utf-8-sig" if line == 1 else "utf-8", otherwise)
                except UnicodeDecodeError as error:
                    found = True
                    what = f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start} of the line"
                    complaints.about(path, line, BadRow("wrong encoding", what, "save the file as UTF-8"))
                    continue
                if text and not text.isspace():
                    found = True
                    yield line, text.rstrip("\r\n")
        except DAMAGED as error:
            found, kind = True, packing(path) or "plain"
            what = f"the {kind} file is truncated or damaged here ({error})"
            complaints.about(path, line + 1, BadRow(f"damaged {kind}", what, "copy or download it again"))
    if not found:
        complaints.about(path, 1, BadRow("empty file", "the file is empty", "write its rows or delete it"))


def lines_of_any_end(path: Path, complaints: Complaints) -> Iterator[tuple[int, str]]:
    """Yield what `text_lines` does, also of a file whose lines end as on an old Macintosh, in a carriage return alone.

    For files of ids, which hold none; texts may.
    """
    for first, text in text_lines(path, complaints):
        yield from ((line, part) for line, part in enumerate(text.split("\r"), first) if part.strip())


def _decoded(raw: bytes, encoding: str, otherwise: str | None) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        if otherwise is None:
            raise
        return raw.decode(otherwise)


def form_of(path: Path) -> str:
    """Tell by how a plain or packed file begins what it is: a JSON `list`, `objects` a line each, `sgml`, or `other`.

    A bracket begins a list of objects, or in a file called `.json` any list: elsewhere it may begin an id.
    """
    with opened(path) as stream:
        try:
            begins = "".join(stream.read(LOOK).decode("utf-8", "replace").lstrip("\ufeff").split())
        except DAMAGED:
            return "other"  # reading will say where it is damaged
    if begins.startswith("[{") or (begins.startswith("[") and unpacked_name(path.name.lower()).endswith(".json")):
        return "list"
    return {"{": "objects", "<": "sgml"}.get(begins[:1], "other")


def json_lines(path: Path, complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and object of each line; complains about broken JSON and about lines that are not objects."""
    for line, text in text_lines(path, complaints):
        try:
            row = _object(text)
        except BadRow as bad:
            complaints.about(path, line, bad)
        else:
            yield line, row


def _object(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRow("broken JSON", f"broken JSON ({error})", "write one whole JSON object on each line") from None
    if not isinstance(row, dict):
        what = "an empty JSON list" if row == [] else f"a JSON {type(row).__name__}"
        mend = 'write one JSON object on each line, like {"_id": "d0", "text": "..."}'
        raise BadRow("not an object", f"the line is {what}, not an object", mend)
    if has_surrogates(text):
        check_surrogates(row)
    return row


def has_surrogates(text: str) -> bool:
    """Whether JSON has escapes of surrogates, of which each must be half of a pair."""
    return "\\ud" in text or "\\uD" in text


def check_surrogates(row: dict[str, Any]) -> None:
    """Raise `BadRow` for half a pair: it parses, but is not text, and Arrow would refuse it."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        what = "an escape like \\ud83d is half a surrogate pair"
        raise BadRow("wrong encoding", what, "write the whole pair or the character itself") from None
