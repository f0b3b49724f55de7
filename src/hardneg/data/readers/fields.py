"""What a row may hold: one check for each kind of field, shared by files and hub sets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardneg.data.readers.lines import BadRow
from hardneg.system.counts_in_words import listed

log = logging.getLogger(__name__)

AN_ID = "a string (ids are strings: as a number, 007 would turn into 7)"
LARGEST_SCORE = 3.4e38  # scores are kept as float32
DOCUMENT_IDS = ("docid", "_id", "id", "doc_id", "pid", "passage_id", "docno")


@dataclass(frozen=True)
class RowSource:
    """Rows with their numbers, and the name of their source in errors; of several files those `opened` so far."""

    name: str
    rows: Iterable[tuple[int, Any]]
    opened: list[str] = field(default_factory=list)

    @property
    def here(self) -> str:
        """The file that the last row came from, where there are several; else the name."""
        return self.opened[-1] if self.opened else self.name

    @classmethod
    def of_files(cls, paths: Sequence[Path], rows: Callable[[Path], Iterable[tuple[int, Any]]]) -> RowSource:
        """Read the rows of one file after the other."""
        opened: list[str] = []

        def chained() -> Iterator[tuple[int, Any]]:
            for path in paths:
                opened.append(str(path))
                yield from rows(path)

        return cls(str(paths[0] if len(paths) == 1 else paths[0].parent), chained(), opened)


def each_once(rows: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Leave out a row whose id and text came before: queries may be in the files of several splits.

    One without an id or a text is passed on each time, to be refused.
    """
    seen: dict[str, Any] = {}
    for number, row in rows:
        name, text = repr(row.get("_id")), row.get("text")  # of whatever type: checked later
        if row.get("_id") is None or text is None or seen.get(name) != text:
            seen[name] = text
            yield number, row


def string(row: Mapping[str, Any], key: str, wanted: str = "a string") -> str:
    """Return a field that must be a string; raises `BadRow` if it is missing or anything else."""
    value = row.get(key)
    if isinstance(value, str):
        return value
    if key not in row:
        raise BadRow("missing field", f"no field {key!r} (there are: {listed(row)})", f"add {key!r}")
    raise wrong_type(key, value, wanted)


class Identifiers:
    """The ids of one file or split: all of them strings, or all whole numbers, which are read as strings (7 as "7").

    Both at once are refused, since 7 and "7" would become one id.
    """

    def __init__(self, key: str = "_id") -> None:
        self.key = key
        self.kind: type | None = None

    def of(self, row: Mapping[str, Any]) -> str:
        """Return a row's id, a string exactly as written; raises `BadRow` for any other type, and for a blank one."""
        value = row.get(self.key)
        if type(value) is not int:
            value = filled(string(row, self.key, "a string or a whole number"), self.key)
        if self.kind is not None and self.kind is not type(value):
            what = f"{self.key!r} is {type(value).__name__} ({value!r}) where the rows before have {self.kind.__name__}"
            raise BadRow("wrong type", what, 'write all ids as strings: 7 and "7" would be one id')
        self.kind = type(value)
        return str(value)

    def report(self, source: str) -> None:
        """Log once if the ids are numbers."""
        if self.kind is int:
            log.warning("%s: %r is a number in every row; read as a string (7 as '7')", source, self.key)


def id_in(row: Mapping[str, Any], names: Sequence[str] = DOCUMENT_IDS) -> Any:
    """Return what the first of these fields that is not null holds; None where all are absent or null.

    `pid` stands before `docid`: a passage of MS MARCO v2 has both, its own id and that of its document.
    """
    held = [name for name in names if row.get(name) is not None]
    if held and held[0] == "docid" and "pid" in held:
        return row["pid"]
    return row[held[0]] if held else None


def filled(text: str, key: str) -> str:
    """Return the text as it is; raises `BadRow` if it is blank."""
    if not text or text.isspace():
        raise BadRow("empty text", f"{key!r} is empty", "fill it or remove the row")
    return text


def document_text(row: Mapping[str, Any]) -> str:
    """Return a document's text: title and text joined by one space, or the one that is not blank.

    `title` may be absent or null. Nothing else is changed. Raises `BadRow` if both are blank.
    """
    title, text = row.get("title"), string(row, "text")
    if not title:
        return filled(text, "text")
    if not isinstance(title, str):
        raise wrong_type("title", title, "a string")
    if title.isspace():
        return filled(text, "text")
    return title if not text or text.isspace() else f"{title} {text}"


def number(value: Any) -> float:
    """Return a judgement's score; raises `BadRow` unless it is a finite number, or a string of one."""
    try:
        if not isinstance(value, int | float | str) or isinstance(value, bool) or "_" in str(value):
            raise ValueError
        score = float(value)
    except ValueError:
        raise BadRow("score not a number", f"score {value!r} is not a number", "write a number like 1 or 0") from None
    if not math.isfinite(score) or abs(score) > LARGEST_SCORE:
        raise BadRow("score not finite", f"score {value!r} is not finite", "write a number like 1 or 0")
    return score


def wrong_type(key: str, value: Any, wanted: str) -> BadRow:
    """Say that a field holds the wrong kind of value."""
    kind = "null" if value is None else type(value).__name__
    return BadRow("wrong type", f"{key!r} is {kind}, not {wanted}", "write it in the right type")
