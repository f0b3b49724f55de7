"""From pairs and triples to `RetrievalData`: texts get ids, queries get a split, named negatives are kept."""

from __future__ import annotations

import logging
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hardneg.data.distinct import distinct
from hardneg.data.held_out import Shares, hold_out
from hardneg.data.packed_pairs import unpacked
from hardneg.data.pair_scores import PairScores, contradict
from hardneg.data.ragged import Ragged
from hardneg.data.readers.examples import UNKNOWN, Example, Examples
from hardneg.data.readers.fields import RowSource, document_text, id_in
from hardneg.data.readers.judged_sets import documents_alone, finished
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.errors import DataError

log = logging.getLogger(__name__)


class PairCollector:
    """Collects pairs and triples; documents and queries are identified by their exact text, in order of appearance.

    With `documents_alone` a row that names a document which the corpus lacks is passed over: there is none to take in.
    """

    def __init__(self, complaints: Complaints, documents_alone: bool = False) -> None:
        self.complaints, self.documents_alone = complaints, documents_alone
        self.documents: dict[str, int] = {}
        self.queries: dict[str, int] = {}
        self.positives: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self.negatives = array("q")
        self.scored, self.scores, self.lines = array("q"), array("d"), array("q")
        self.sources: list[tuple[int, str]] = []
        self.prompts: Counter[str | None] = Counter()

    def add(self, source: RowSource, split: str, examples: Examples) -> None:
        """Take in the rows of one table, as positives of this split."""
        self.sources.append((len(self.scored), source.name))
        first = not examples.said  # of the first file of a split
        for line, row in source.rows:
            try:
                example = examples(row)
            except BadRow as bad:
                if self.documents_alone and examples.corpus is not None and bad.reason == UNKNOWN:
                    continue
                bad.in_one_row = bad.in_one_row or not first  # rows before it were read
                self.complaints.about(source.name, line, bad)
                continue
            if first:
                examples.say(source.name, tuple(map(str, row)), row)
                first = False
            if example is None:
                self.complaints.skipped["query without positive"] += 1
            else:
                self._take(example, split, line)

    def _take(self, example: Example, split: str, line: int) -> None:
        self.prompts[example.prompt] += 1
        high = self.queries.setdefault(example.query, len(self.queries)) << 32
        positives = [high | self._document(text) for text in example.positives]
        negatives = [high | self._document(text) for text in example.negatives]
        self.positives[split].extend(positives)
        self.negatives.extend(negatives)
        for pairs, scores in ((positives, example.positive_scores), (negatives, example.negative_scores)):
            for pair, score in zip(pairs, scores, strict=bool(scores)):
                if score is not None:
                    self.scored.append(pair)
                    self.scores.append(score)
                    self.lines.append(line)

    def add_documents(self, source: RowSource, without: Collection[tuple[str, int]] = ()) -> None:
        """Take in documents that no pair need name, rows of {title?, text}, but for those at `without` (file, line).

        Their ids are not used.
        """
        for line, row in source.rows:
            if (source.here, line) in without:
                continue
            try:
                self._document(document_text(row))
            except BadRow as bad:
                self.complaints.about(source.here, line, bad)

    def data(self, name: str) -> RetrievalData:
        """Build the set; raises `DataError` if nothing was taken in, or no positive."""
        if self.queries and not self.complaints.skipped and not any(self.positives.values()):
            what = "none of its pairs is a positive: one has a label of 1, or a score of data.positive_from or more"
            raise DataError(f"data set {name!r}: {what}")
        corpus = self.corpus()
        queries = Texts.of([f"q{row}" for row in range(len(self.queries))], list(self.queries))
        qrels = {
            split: Qrels.of_relevant(*unpacked(distinct(np.array(flat, np.int64))))
            for split, flat in self.positives.items()
        }
        scored = self._scored()
        negatives = distinct(np.array(self.negatives, np.int64))
        given = Ragged.of_pairs(negatives, len(queries)) if len(negatives) else None
        data = finished(name, corpus, queries, qrels, given, self.complaints)
        return replace(data, scored=scored, query_prompt=self._prompt(name))

    def corpus(self) -> Texts:
        """Build the table of documents."""
        return Texts.of([f"d{row}" for row in range(len(self.documents))], list(self.documents))

    def _scored(self) -> PairScores | None:
        """Order the scores; complains about a pair with two scores."""
        if not self.scored:
            return None
        pairs, scores = np.array(self.scored, np.int64), np.array(self.scores)
        order = np.argsort(pairs, kind="stable")
        pairs, scores = pairs[order], scores[order]
        for place in np.flatnonzero((pairs[1:] == pairs[:-1]) & contradict(scores[1:], scores[:-1], scores)):
            row = int(order[place + 1])
            source = next(name for start, name in reversed(self.sources) if start <= row)
            what = f"score {scores[place + 1]:.7g} contradicts score {scores[place]:.7g} of the same query and document"
            self.complaints.about(source, self.lines[row], BadRow("conflicting score", what, "keep one of the two"))
        return PairScores.of(*unpacked(pairs), scores)

    def _prompt(self, name: str) -> str | None:
        """The prompt that all queries have in common, if any; warns where prompts are left out."""
        prompts = [prompt for prompt in self.prompts if prompt is not None]
        if not prompts:
            return None
        if len(self.prompts) == 1:
            return prompts[0]
        log.warning(
            "%s: the rows have %d different prompts, or some have none, and so all are left out; to train with them "
            "give each its own file, joined by data=mix",
            *(name, len(prompts)),
        )
        return None

    def _document(self, text: str) -> int:
        return self.documents.setdefault(text, len(self.documents))


def paired(
    name: str,
    splits: Mapping[str, RowSource | Sequence[RowSource]],
    documents: Callable[[], RowSource] | None,
    shares: Shares,
    complaints: Complaints,
    columns: Mapping[str, Any] | None = None,
    positive_from: int | float | None = None,
) -> RetrievalData:
    """Read each split's rows, then the extra documents; a missing dev or test is held out of `train`.

    A split's rows come from one table, or from several of one layout. `documents` opens the extra documents, which rows
    may name by id. Raises `DataError` if nothing is left.
    """
    return hold_out(_read(PairCollector(complaints), splits, documents, columns, positive_from).data(name), shares)


def paired_documents(
    name: str,
    splits: Mapping[str, RowSource | Sequence[RowSource]],
    documents: Callable[[], RowSource] | None,
    complaints: Complaints,
    columns: Mapping[str, Any] | None = None,
    positive_from: int | float | None = None,
) -> RetrievalData:
    """Read the documents of `paired` alone, in the same order; rows may name by id some that are gone.

    Raises `DataError` if nothing is left.
    """
    pairs = _read(PairCollector(complaints, documents_alone=True), splits, documents, columns, positive_from)
    return documents_alone(name, pairs.corpus(), complaints)


def _read(
    pairs: PairCollector,
    splits: Mapping[str, RowSource | Sequence[RowSource]],
    documents: Callable[[], RowSource] | None,
    columns: Mapping[str, Any] | None,
    positive_from: int | float | None,
) -> PairCollector:
    """Take in each split's rows, then the extra documents."""
    corpus = None if documents is None else ById(documents, pairs.complaints)
    for split, sources in splits.items():
        examples = Examples(columns, positive_from, corpus)
        for source in [sources] if isinstance(sources, RowSource) else sources:
            pairs.add(source, split, examples)
    if corpus is not None:
        pairs.add_documents(corpus.documents(), corpus.repeated)
    return pairs


class ById(Mapping[str, str]):
    """Documents of a corpus file by id, read when the first is asked for.

    A row without a text ends the reading with its own line, unless rows are skipped: these are counted where the
    documents are taken in. So does an id that another text had before; blanks around a text make it no other.
    `repeated` has the places (file, line) of rows to leave out: of such, and of those that differ by blanks alone.
    """

    def __init__(self, documents: Callable[[], RowSource], complaints: Complaints) -> None:
        self.documents, self.complaints = documents, complaints
        self.texts: dict[str, str] | None = None
        self.repeated: set[tuple[str, int]] = set()

    def _read(self) -> dict[str, str]:
        if self.texts is None:
            self.texts = {}
            source = self.documents()
            for line, row in source.rows:
                name = id_in(row)
                if name is not None:
                    try:
                        text = document_text(row)
                    except BadRow as bad:  # of this row: those after it are read all the same
                        if self.complaints.on_error == "raise":
                            self.complaints.about(source.here, line, bad)
                        continue
                    first = self.texts.setdefault(str(name), text)
                    if first == text:
                        continue
                    self.repeated.add((source.here, line))
                    if first.strip() != text.strip():
                        what = f"id {str(name)!r} was used above for another text"
                        repeated = BadRow("duplicate id", what, "give every row its own id")
                        self.complaints.about(source.here, line, repeated)
        return self.texts

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Any:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())
