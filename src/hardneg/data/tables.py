"""The tables of a retrieval set: string ids at the door, integer rows inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Bool, Float32, Int32, Int64

from hardneg.data.distinct import distinct
from hardneg.data.equal_texts import equal_texts
from hardneg.data.pair_scores import PairScores
from hardneg.data.parts import Part
from hardneg.data.ragged import Ragged
from hardneg.errors import DataError


@dataclass(frozen=True, eq=False)
class Texts:
    """An immutable column of texts with their ids; row `i` is `texts[i]` for ever.

    Arrow keeps a million texts in two buffers instead of a million Python strings.
    """

    ids: pa.LargeStringArray
    texts: pa.LargeStringArray

    @classmethod
    def of(cls, ids: Iterable[str], texts: Iterable[str]) -> Texts:
        """Build from Python strings; raises `DataError` on an id that appears twice."""
        table = cls(pa.array(ids, pa.large_string()), pa.array(texts, pa.large_string()))
        if len(table.ids) != len(table.texts):
            raise ValueError(f"{len(table.ids)} ids but {len(table.texts)} texts")
        counts = table.ids.value_counts()
        if len(counts) != len(table.ids):
            twice = counts.filter(pa.compute.greater(counts.field("counts"), 1)).field("values")[0].as_py()
            raise DataError(f"id {twice!r} appears twice; ids must be unique")
        return table

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> str:
        return self.texts[row].as_py()

    def take(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Return the texts of these rows as Python strings."""
        return self.texts.take(pa.array(rows, pa.int64())).to_pylist()

    def slice(self, rows: range) -> Texts:
        """Return these contiguous rows, without a copy."""
        return Texts(self.ids.slice(rows.start, len(rows)), self.texts.slice(rows.start, len(rows)))

    @cached_property
    def rows(self) -> dict[str, int]:
        """Map each id to its row: for looking up ids one by one; for many at once `find` takes less memory."""
        return {name: row for row, name in enumerate(self.ids.to_pylist())}

    def find(self, names: pa.LargeStringArray | Sequence[str]) -> Int32[np.ndarray, " n"]:
        """Return the row of each of these ids, -1 where there is none."""
        asked = names if isinstance(names, pa.Array) else pa.array(names, pa.large_string())
        return pa.compute.index_in(asked, value_set=self.ids).fill_null(-1).to_numpy().astype(np.int32)

    @cached_property
    def groups(self) -> Int32[np.ndarray, " n"]:
        """Number the texts so that equal ones (surrounding blanks aside) have equal numbers, in order of appearance."""
        return equal_texts(self.texts)

    @cached_property
    def fingerprint(self) -> str:
        """Hash ids and texts, so that a cache made from another corpus is never read."""
        digest = blake2b(digest_size=16)
        for column in (self.ids, self.texts):
            digest.update(f"{len(column)} from {column.offset};".encode())
            for buffer in column.buffers()[1:]:
                digest.update(buffer or b"")
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Qrels:
    """Relevance judgements in rows: `score > 0` is relevant, `score <= 0` was judged and found not relevant.

    `gains` are the grades as written, where `data.relevant_from` has made the lower ones not relevant (their score is
    0): nDCG counts them all the same. None where they are the scores.
    """

    queries: Int32[np.ndarray, " n"]
    docs: Int32[np.ndarray, " n"]
    scores: Float32[np.ndarray, " n"]
    gains: Float32[np.ndarray, " n"] | None = None

    @classmethod
    def of_relevant(cls, queries: np.ndarray, docs: np.ndarray) -> Qrels:
        """Judge each of these documents relevant to the query beside it, all with the grade 1."""
        return cls(queries.astype(np.int32), docs.astype(np.int32), np.ones(len(queries), np.float32))

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def relevant(self) -> Qrels:
        """Only the judgements that say relevant."""
        return self.take(self.scores > 0)

    def take(self, keep: Bool[np.ndarray, " n"]) -> Qrels:
        """Only the judgements that are marked."""
        gains = None if self.gains is None else self.gains[keep]
        return Qrels(self.queries[keep], self.docs[keep], self.scores[keep], gains)

    @property
    def query_rows(self) -> Int32[np.ndarray, " q"]:
        """The queries with at least one relevant document, in row order."""
        return distinct(self.relevant.queries)


@dataclass(frozen=True, eq=False)
class RetrievalData:
    """A retrieval set: a corpus, queries and judgements by split.

    `truth` is the full relevance of a generated set, hidden labels included; real sets have none.
    `given` holds the negatives that the data itself names for each query (triples, FlagEmbedding's `neg`), if any.
    `own` is the row of the document that each query is itself, -1 for none (see `hardneg.data.own_documents`): it is no
    answer to the query, and no negative. None where there is no such query, or where they are kept.
    `scored` are a teacher's scores of pairs that the data come with, if any. `query_prompt` is what the data want in
    front of their queries, in place of the encoder's own (null: nothing).
    `mixed` are the sets that it was joined from, if it was: a query's candidates are the documents of its own set.
    `temper` and `blended` say in which proportion and batches they are trained on (see `Order`).
    """

    name: str
    corpus: Texts
    queries: Texts
    qrels: Mapping[str, Qrels]
    truth: Qrels | None = None
    given: Ragged | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)  # what a lenient reader left out, by reason
    mixed: tuple[Part, ...] = ()
    temper: float = 1.0
    own: Int32[np.ndarray, " Q"] | None = None
    scored: PairScores | None = None
    query_prompt: str | None = None
    blended: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sets it was joined from, or itself as the only one."""
        whole = Part(self.name, range(len(self.queries)), range(len(self.corpus)), self.query_prompt)
        return self.mixed or (whole,)

    @property
    def bounds(self) -> list[list[int]]:
        """Where the sets end, as plain values that belong to the name of what is made of several; empty for one."""
        return [[part.queries.stop, part.docs.stop] for part in self.parts] if len(self.parts) > 1 else []

    def by_part(self, queries: np.ndarray) -> Iterator[tuple[Part, slice]]:
        """Cut query rows, which are in the table's order, by set: yield each set with any, and where they are."""
        ends = np.searchsorted(queries, [part.queries.stop for part in self.parts])
        for part, start, end in zip(self.parts, [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            if end > start:
                yield part, slice(start, end)

    def parts_of(self, queries: np.ndarray) -> Int64[np.ndarray, " n"]:
        """Say which of the parts each query row is of."""
        return np.searchsorted([part.queries.stop for part in self.parts], queries, side="right")

    def without_prompts(self) -> RetrievalData:
        """Return the same for an encoder that comes with prompts of its own."""
        bare = tuple(replace(part, query_prompt=None, document_prompt=None) for part in self.mixed)
        return replace(self, mixed=bare, query_prompt=None)

    def fingerprint(self, split: str) -> str:
        """Hash the corpus, the queries and one split's judgements."""
        qrels = self.split(split)
        digest = blake2b(f"{self.corpus.fingerprint} {self.queries.fingerprint}".encode(), digest_size=12)
        if self.bounds:
            digest.update(str(self.bounds).encode())
        for column in (qrels.queries, qrels.docs, qrels.scores):
            digest.update(column.tobytes())
        if qrels.gains is not None:
            digest.update(b"gains" + qrels.gains.tobytes())
        if self.own is not None:
            digest.update(b"own" + self.own.tobytes())
        return digest.hexdigest()

    def split(self, name: str) -> Qrels:
        """Return one split's judgements; raises `DataError` that lists the splits there are."""
        if name not in self.qrels:
            shares = ", or hold queries out of train with data.dev_share=0.1 data.test_share=0.1"
            raise DataError(
                f"data set {self.name!r} has no split {name!r}; it has {', '.join(sorted(self.qrels))}: name one of"
                " these (in training by split.train=, split.dev= and split.test=, of which dev and test may be null)"
                + (shares if "train" in self.qrels else "")
            )
        return self.qrels[name]
