"""What two rankings are judged by: grades of documents, and the texts behind the ids where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from hardneg.ab.rankings import read_qrels
from hardneg.compare.clusters import components
from hardneg.compare.set_weights import even_weights
from hardneg.data.readers.fields import Identifiers, document_text, string
from hardneg.data.readers.lines import BadRow, Strict, json_lines
from hardneg.data.tables import Qrels, RetrievalData
from hardneg.errors import UserError
from hardneg.retrieval.metrics import Labels, gains, grades


@dataclass(frozen=True)
class Judgements:
    """The judgements of one split: query -> document -> grade, 0 for what was judged and found not relevant.

    `queries` and `docs` map ids to texts, empty where there are none; `sets` names the data set of each query where
    there are several in one; `fingerprint` is that of the data, null where they come from a qrels file. `gains` are the
    grades that nDCG counts, where `data.relevant_from` makes the lower ones not relevant.
    """

    name: str
    labels: Labels
    queries: Mapping[str, str] = field(default_factory=dict)
    docs: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str | None = None
    gains: Labels | None = None

    @cached_property
    def relevant(self) -> dict[str, list[str]]:
        """The relevant documents of each query that has any, by sorted query id."""
        found = {query: [doc for doc, value in docs.items() if value > 0] for query, docs in self.labels.items()}
        return {query: found[query] for query in sorted(found) if found[query]}

    @property
    def ids(self) -> list[str]:
        """The queries that are compared: those with a relevant document, sorted."""
        return list(self.relevant)

    @property
    def only_relevant(self) -> bool:
        """Whether only relevant documents are judged, so that all other results are unjudged."""
        return all(value > 0 for docs in self.labels.values() for value in docs.values())

    def weights(self) -> Float[np.ndarray, " Q"]:
        """The weight of each query, 1 on average: every data set counts the same."""
        return even_weights([self.sets.get(query, "") for query in self.ids])

    def sharing_positives(self) -> Int[np.ndarray, " Q"]:
        """Number the queries so that those with a relevant document in common have equal numbers."""
        rows = np.repeat(np.arange(len(self.ids)), [len(docs) for docs in self.relevant.values()])
        names = [doc for docs in self.relevant.values() for doc in docs]
        docs = np.unique(names, return_inverse=True)[1]
        return components(Qrels.of_relevant(rows, docs), len(self.ids))


def from_data(data: RetrievalData, split: str) -> Judgements:
    """Take the judgements and texts of a loaded data set."""
    qrels = data.split(split)
    rows = qrels.query_rows
    ids = data.queries.ids.take(rows).to_pylist()
    parts = data.parts_of(rows).tolist() if data.mixed else []
    return Judgements(
        name=f"{data.name} ({split})",
        labels=grades(qrels, data),
        gains=gains(qrels, data),
        queries=dict(zip(ids, data.queries.take(rows), strict=True)),
        docs=_Lookup(data),
        sets={query: data.parts[part].name for query, part in zip(ids, parts, strict=bool(parts))},
        fingerprint=data.fingerprint(split),
    )


class _Lookup(Mapping[str, str]):
    """Document texts by id, left in Arrow: no second copy of the corpus."""

    def __init__(self, data: RetrievalData) -> None:
        self.corpus = data.corpus

    def __getitem__(self, doc: str) -> str:
        return self.corpus[self.corpus.rows[doc]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.corpus.rows)

    def __len__(self) -> int:
        return len(self.corpus)


def from_files(
    qrels: Path, queries: Path | None, corpus: Path | None, relevant_from: float | None = None
) -> Judgements:
    """Read judgements, and texts in BEIR's JSON lines where they are given.

    `relevant_from` is the lowest grade that is relevant (null: any above 0); nDCG counts the lower ones all the same,
    as trec_eval does with its relevance level (`-l`). Raises `DataError` with file and line for what is broken,
    `UserError` for a missing file, and where no grade is that high.
    """
    written = read_qrels(qrels)
    labels = written if relevant_from is None else _from_grade(written, relevant_from)
    if relevant_from is not None and not any(grade > 0 for docs in labels.values() for grade in docs.values()):
        highest = max((grade for docs in written.values() for grade in docs.values()), default=0)
        raise UserError(f"--relevant-from {relevant_from:g}: no document is relevant; the highest grade is {highest:g}")
    return Judgements(
        name=qrels.name if relevant_from is None else f"{qrels.name} (relevant from {relevant_from:g})",
        labels=labels,
        gains=None if relevant_from is None else written,
        queries={} if queries is None else _texts(queries, "--queries"),
        docs={} if corpus is None else _texts(corpus, "--corpus"),
    )


def _from_grade(labels: Labels, bar: float) -> dict[str, dict[str, int | float]]:
    """The judgements with lower grades as judged, but not relevant."""
    return {
        q: {doc: grade if grade >= bar else min(grade, 0) for doc, grade in docs.items()} for q, docs in labels.items()
    }


def _texts(path: Path, option: str) -> dict[str, str]:
    if not path.is_file():
        raise UserError(f"{option} {path}: no such file")
    complaints, found, ids = Strict(), dict[str, str](), Identifiers()
    for line, row in json_lines(path, complaints):
        try:
            name = ids.of(row)
            if name in found:
                raise BadRow("duplicate id", f"id {name!r} was used above", "give every row its own id")
            found[name] = document_text(row) if option == "--corpus" else string(row, "text")
        except BadRow as bad:
            complaints.about(path, line, bad)
    ids.report(str(path))
    return found
