"""Data handed in from Python, written once as files that a run's config can name."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from numbers import Integral  # NumPy's whole numbers, too
from pathlib import Path
from typing import Any, ClassVar

from hardneg.api.frames import Frame
from hardneg.errors import DataError
from hardneg.system.cache import built_once
from hardneg.system.cache_folder import HANDED_IN
from hardneg.system.progress import track


class DataLayout(ABC):
    """What was handed in, and how it is written; `kind` is the option of `data=` that reads it."""

    kind: ClassVar[str]

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """All that is in it: equal content gives equal lines, whichever library held it."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write it into an empty folder."""

    @cached_property
    def key(self) -> str:
        """Name it by its content."""
        digest = blake2b(self.kind.encode(), digest_size=12)
        for line in track(self.lines(), "read the data that were handed in", "rows"):
            digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return digest.hexdigest()

    def kept(self, cache: Path) -> Path:
        """Return the folder in the cache that holds it, written at the first call."""
        return built_once(cache / HANDED_IN / self.key, self.write)


@dataclass(frozen=True, eq=False)
class Tables(DataLayout):
    """A table for each split, and maybe one of further documents (`corpus`)."""

    frames: Mapping[str, Frame]

    kind: ClassVar[str] = "table"

    def lines(self) -> Iterator[str]:
        """A line a row, under the names of splits in order."""
        for split in sorted(self.frames):
            yield split
            for row in self.frames[split]:
                yield json.dumps(row, ensure_ascii=False, default=str)

    def write(self, folder: Path) -> None:
        """Write a Parquet file a split."""
        from pyarrow import parquet

        for split, frame in self.frames.items():
            with parquet.ParquetWriter(folder / f"{split}.parquet", frame.schema) as file:
                for batch in frame.batches():
                    file.write_batch(batch)


@dataclass(frozen=True, eq=False)
class JudgedSet(DataLayout):
    """A corpus, queries and judgements by split, as BEIR has them.

    Ids map to a text or to {title, text}; qrels map split, query and document to a grade.

    Raises `DataError` for ids and texts of the wrong type, and for ids that a file with tabs cannot hold.
    """

    corpus: Mapping[Any, Any]
    queries: Mapping[Any, Any]
    qrels: Mapping[str, Mapping[Any, Mapping[Any, Any]]] = field(default_factory=dict)

    kind: ClassVar[str] = "beir"

    def __post_init__(self) -> None:
        for what, texts in (("corpus", self.corpus), ("queries", self.queries)):
            names = [_id(name, what) for name in texts]
            if len(set(names)) < len(names):
                raise DataError(f'{what}: an id occurs as a number and as a string; 7 and "7" are one id')

    def lines(self) -> Iterator[str]:
        """The lines of its files, one file after the other."""
        for name, rows in self._files().items():
            yield name
            yield from rows

    def write(self, folder: Path) -> None:
        """Write corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."""
        for name, rows in self._files().items():
            (folder / name).parent.mkdir(exist_ok=True)
            with (folder / name).open("w", encoding="utf-8") as file:
                file.writelines(f"{row}\n" for row in rows)

    def _files(self) -> dict[str, Iterator[str]]:
        judged = {f"qrels/{split}.tsv": self._judgements(split) for split in sorted(self.qrels)}
        return {"corpus.jsonl": _documents(self.corpus), "queries.jsonl": _queries(self.queries), **judged}

    def _judgements(self, split: str) -> Iterator[str]:
        yield "query-id\tcorpus-id\tscore"
        for query, judged in self.qrels[split].items():
            if not isinstance(judged, Mapping):
                raise DataError(
                    f"qrels, {split}: query {query!r} has a {type(judged).__name__}, not {{document: grade}}"
                )
            for document, grade in judged.items():
                yield f"{_id(query, 'qrels')}\t{_id(document, 'qrels')}\t{grade}"


def _documents(corpus: Mapping[Any, Any]) -> Iterator[str]:
    for name, document in corpus.items():
        fields = document if isinstance(document, Mapping) else {"text": document}
        if not isinstance(fields.get("text"), str):
            raise DataError(f"corpus: document {name!r} has no text; write a string, or {{'title': ..., 'text': ...}}")
        kept = {key: fields[key] for key in ("title", "text") if fields.get(key) is not None}
        yield json.dumps({"_id": str(name), **kept}, ensure_ascii=False)


def _queries(queries: Mapping[Any, Any]) -> Iterator[str]:
    for name, text in queries.items():
        if not isinstance(text, str):
            raise DataError(f"queries: {name!r} is a {type(text).__name__}, not a string")
        yield json.dumps({"_id": str(name), "text": text}, ensure_ascii=False)


def _id(name: Any, what: str) -> str:
    if isinstance(name, bool) or not isinstance(name, str | Integral):
        raise DataError(f"{what}: id {name!r} is a {type(name).__name__}; ids are strings or whole numbers")
    if set(text := str(name)) & set("\t\r\n") or not text.strip():
        raise DataError(f"{what}: id {name!r} is blank, or has a tab or a line break in it; give it another")
    return text
