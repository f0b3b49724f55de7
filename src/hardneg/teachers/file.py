"""A file of scores as the teacher: the reranker or language model that gave them is not needed."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.data.pair_scores import PairScores, contradict
from hardneg.data.ragged import Ragged
from hardneg.data.readers.fields import number
from hardneg.data.readers.folders import KINDS
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.table_files import kind_of, table_rows
from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import ConfigError, DataError
from hardneg.system.cache import fingerprint
from hardneg.teachers.base import Teacher

log = logging.getLogger(__name__)

QUERIES = ("query-id", "query_id", "qid", "query")
DOCUMENTS = ("corpus-id", "corpus_id", "document-id", "document_id", "doc-id", "doc_id", "docid", "document", "passage")
FEW = 0.5  # a smaller share of scored pairs than this is worth a warning


class FileTeacher(Teacher):
    """Scores pairs by a table with one row a pair: query, document, score.

    Layout: columns `query-id`, `corpus-id`, `score` (other spellings in `QUERIES` and `DOCUMENTS`), as CSV, TSV, JSONL,
    Parquet or Arrow; queries and documents by their ids, or by their whole text where no such id is there: all that
    have it then get the score. Pairs that are not in it have none; a pair has one score, however often it is there.

    Raises `ConfigError` for a path that is not such a file.
    """

    def __init__(self, path: str) -> None:
        if not Path(path).expanduser().is_file():
            raise ConfigError(f"teacher.path={path}: there is no such file; give a table of query-id, corpus-id, score")
        self.path = Path(path).expanduser()
        self.table: PairScores | None = None
        self.warned = False

    def prepare(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Read the file; raises `DataError` for a bad row, for a pair with two scores, and for no pair of the data."""
        if self.table is not None:
            return
        if kind_of(self.path) is None:
            endings = ", ".join(kind[1:] for kind in KINDS)
            raise DataError(f"{self.path}: no known table; expected one of {endings}, with query-id, corpus-id, score")
        rows, queries, docs, scores, lines = 0, [], [], [], []
        complaints = Complaints("raise")
        asked, held = _Rows(data.queries), _Rows(data.corpus)
        for line, row in table_rows(self.path, complaints).rows:
            rows += 1
            try:
                query, doc, score = _cell(row, QUERIES), _cell(row, DOCUMENTS), number(row.get("score"))
            except BadRow as bad:
                raise DataError(f"{complaints.place(self.path, line)}: {bad}") from None
            for q, d in itertools.product(asked.find(query), held.find(doc)):
                queries.append(q)
                docs.append(d)
                scores.append(score)
                lines.append(line)
        if not scores:
            raise DataError(
                f"{self.path}: none of its {rows} pairs is of {data.name!r}; ids there are like"
                f" {data.queries.ids[0].as_py()!r} and {data.corpus.ids[0].as_py()!r}, and whole texts will do too"
            )
        pairs, rounded = (np.array(queries), np.array(docs)), np.array(scores, np.float32)
        table = PairScores.of(*pairs, np.array(scores))
        if (places := _contradiction(table, *pairs, rounded)) is not None:
            first, later = places
            raise DataError(
                f"{complaints.place(self.path, lines[later])}: score {rounded[later]:.7g} contradicts score"
                f" {rounded[first]:.7g} of {complaints.row(self.path, lines[first])}, of the same query and document;"
                " keep one of the two"
            )
        self.table = table
        log.info("%s: %d scores, %d of them of pairs in %s", self.path, rows, len(scores), data.name)

    def identity(self) -> dict[str, Any]:
        """The scores."""
        assert self.table is not None, "prepare() comes first"
        return {
            "teacher": "file",
            "pairs": fingerprint(self.table.pairs.tolist()),
            "scores": fingerprint(self.table.scores.tolist()),
        }

    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Look up each query row's documents; NaN for -1 and for what the file does not hold."""
        assert self.table is not None, "prepare() comes first"
        found = self.table.look_up(queries[:, None], docs)
        asked, known = int((docs >= 0).sum()), int((~np.isnan(found)).sum())
        if known < FEW * asked and not self.warned:
            self.warned = True
            log.warning(
                "%s: scores only %d of %d pairs that were asked for; the others count as unknown to the teacher",
                *(self.path, known, asked),
            )
        return found


def _contradiction(
    table: PairScores, queries: np.ndarray, docs: np.ndarray, scores: np.ndarray
) -> tuple[int, int] | None:
    """Say where a pair has its first score, which `table` holds, and where another one; None where all agree."""
    held = table.look_up(queries[:, None], docs[:, None])[:, 0]
    later = np.flatnonzero(contradict(held, scores, scores))
    if not len(later):
        return None
    same = (queries == queries[later[0]]) & (docs == docs[later[0]])
    return int(np.flatnonzero(same)[0]), int(later[0])


class _Rows:
    """Rows of a table by id, or by whole text (surrounding blanks aside) where no id is the same."""

    def __init__(self, texts: Texts) -> None:
        self.ids = texts.rows
        self.texts = texts
        self.by_text: dict[str, int] | None = None

    def find(self, name: str) -> list[int]:
        """Return the row of this id, or all that have this text: one text may have several ids."""
        if (row := self.ids.get(name)) is not None:
            return [row]
        if self.by_text is None:
            texts, groups = self.texts.texts.to_pylist(), self.texts.groups.tolist()
            self.by_text = {text.strip(): group for text, group in zip(texts, groups, strict=True)}
        group = self.by_text.get(name.strip())
        return [] if group is None else self.copies[group].tolist()

    @cached_property
    def copies(self) -> Ragged:
        """The rows of each text, by its number."""
        return Ragged.of(self.texts.groups, np.arange(len(self.texts)), int(self.texts.groups.max(initial=-1)) + 1)


def _cell(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    key = next((name for name in names if name in row), None)
    if key is None:
        what = f"no column {names[0]!r} (there are: {', '.join(map(str, row)) or 'none'})"
        raise BadRow("missing field", what, "write query-id, corpus-id and score")
    value = row[key]
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise BadRow("wrong type", f"{key!r} is {type(value).__name__}, not an id or a text", "write it as a string")
    return str(value)
