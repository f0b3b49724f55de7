"""From checked rows to `RetrievalData`, for sets that come as corpus, queries and judgements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hardneg.data.grades import RelevantFrom, bar_of, check_relevant_from
from hardneg.data.held_out import HoldsOut
from hardneg.data.own_documents import check_own_documents, own_documents
from hardneg.data.ragged import Ragged
from hardneg.data.readers.fields import Identifiers, RowSource, document_text, filled, string
from hardneg.data.readers.id_triples import Pairs, with_triples
from hardneg.data.readers.judgements import judgements
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.text_rows import TextRows
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.errors import DataError

log = logging.getLogger(__name__)

Triples = Callable[[Texts, Texts], Pairs | None]


class ReadsJudgements(HoldsOut):
    """A reader of a corpus, queries and judgements, by settings of these names."""

    on_error: str
    own_documents: str
    relevant_from: Any

    def _check_judged(self) -> None:
        """Raise `ConfigError` for one of these settings that is out of range."""
        Complaints(self.on_error)
        check_own_documents(self.own_documents)
        check_relevant_from(self.relevant_from)
        self._shares()


def judged_set(
    name: str,
    corpus: RowSource,
    queries: RowSource,
    qrels: Mapping[str, RowSource],
    complaints: Complaints,
    keep_own: bool,
    relevant_from: RelevantFrom,
    triples: Triples | None = None,
) -> RetrievalData:
    """Read documents, then queries, then each split's judgements; raises `DataError` if nothing is left.

    `relevant_from` is the lowest grade that is relevant, of all splits or by split, null: any above 0. Unless
    `keep_own`, a document that is the query itself is noted, to be left out of what is ranked and mined for that query.
    `triples` reads training triples when documents and queries are known, null: none; see `with_triples`.

    Layout: corpus rows {_id, title?, text}, query rows {_id, text}, judgement rows (query id, document id, score).
    Ids are strings; where all of a file are whole numbers they are read as strings, and that is logged.
    """
    documents = documents_of(corpus, complaints)
    questions = _texts(queries, _query_text, complaints)
    bars = bar_of(relevant_from, qrels)
    splits = {name: judgements(source, documents, questions, complaints, bars[name]) for name, source in qrels.items()}
    given = None
    if triples is not None:
        splits, given = with_triples(splits, triples(documents, questions), len(questions))
    if relevant_from is not None and qrels and not complaints.skipped and not any(map(len, splits.values())):
        raise DataError(
            f"data set {name!r}: no document has a grade of data.relevant_from={relevant_from} or more; lower it"
        )
    data = finished(name, documents, questions, splits, given, complaints)
    own = None if keep_own else own_documents(documents, questions, data.qrels.values())
    if own is not None:
        log.info(
            "%s: %d of %d queries are documents themselves (by id and text), each left out of what is ranked and mined"
            " for it; data.own_documents=keep keeps them",
            *(name, (own >= 0).sum(), len(own)),
        )
    return replace(data, own=own)


def finished(
    name: str,
    corpus: Texts,
    queries: Texts,
    qrels: Mapping[str, Qrels],
    negatives: Ragged | None,
    complaints: Complaints,
) -> RetrievalData:
    """Report what was skipped and build the set, without empty splits.

    Raises `DataError` if there are no documents, no queries or no judgements at all.
    """
    qrels = {split: judged for split, judged in qrels.items() if len(judged)}
    parts = {"documents": len(corpus), "queries": len(queries), "judgements": sum(map(len, qrels.values()))}
    skipped = _reported(name, parts, complaints)
    return RetrievalData(name, corpus, queries, qrels, given=negatives, skipped=skipped)


def documents_alone(name: str, corpus: Texts, complaints: Complaints) -> RetrievalData:
    """Report what was skipped and build a set of documents, without any query or judgement: what an index needs.

    Raises `DataError` if there are no documents.
    """
    skipped = _reported(name, {"documents": len(corpus)}, complaints)
    return RetrievalData(name, corpus, Texts.of([], []), {}, skipped=skipped)


def documents_of(source: RowSource, complaints: Complaints) -> Texts:
    """Read documents, rows {_id, title?, text}."""
    return _texts(source, document_text, complaints)


def _reported(name: str, parts: Mapping[str, int], complaints: Complaints) -> dict[str, int]:
    """Say what was skipped and return it; raises `DataError` if a part has nothing left."""
    if missing := [part for part, n in parts.items() if not n]:
        skipped = ", ".join(f"{reason}: {n}" for reason, n in complaints.skipped.items()) or "nothing"
        raise DataError(
            f"data set {name!r} has no {' and no '.join(missing)} left (skipped: {skipped}); "
            "load it with data.on_error=raise to see the first bad row"
        )
    complaints.report(name)
    return dict(complaints.skipped)


def _query_text(row: Mapping[str, Any]) -> str:
    return filled(string(row, "text"), "text")


def _texts(source: RowSource, text_of: Callable[[Mapping[str, Any]], str], complaints: Complaints) -> Texts:
    rows = TextRows(complaints)
    ids = Identifiers()
    for line, row in source.rows:
        try:
            name, text = ids.of(row), text_of(row)
        except BadRow as bad:
            complaints.about(source.here, line, bad)
        else:
            rows.add(source.here, line, name, text)
    ids.report(source.name)
    return rows.texts()
