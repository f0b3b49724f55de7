"""From pairs and triples to `RetrievalData`: texts get ids, queries get a split, named negatives are kept."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from hardneg.data.readers.fields import Source, document_text, filled, string, wrong_type
from hardneg.data.readers.judged_sets import finished
from hardneg.data.readers.judgements import unpacked
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.tables import Qrels, Ragged, RetrievalData, Texts
from hardneg.errors import ConfigError

QUERY = ("query", "anchor")
POSITIVE = re.compile(r"positive(_\d+)?|pos")
NEGATIVE = re.compile(r"negative(_\d+)?|neg")
LAYOUT = "name the fields query (or anchor), positive (or pos) and, if there are any, negative, negative_1 ... or neg"


def check_shares(dev: int | float, test: int | float) -> None:
    """Raise `ConfigError` unless the two shares leave something for training."""
    for key, share in (("data.dev_share", dev), ("data.test_share", test)):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise ConfigError(f"{key} is {share!r}; write a number from 0 to below 1")
    if dev + test >= 1:
        raise ConfigError(f"data.dev_share + data.test_share is {dev + test:g}; together they must be below 1")


def split_of(query: str, dev: int | float, test: int | float) -> str:
    """Draw a query's split from its text alone, so that neither order nor other rows nor a seed can move it."""
    digest = blake2b(query.strip().encode(), digest_size=8).digest()  # stripped: a stray blank must not leak a query
    draw = int.from_bytes(digest, "big") / 2**64
    return "test" if draw < test else "dev" if draw < test + dev else "train"


class Pairs:
    """Collects pairs and triples; documents and queries are told apart by their exact text, in order of appearance."""

    def __init__(self, complaints: Complaints) -> None:
        self.complaints = complaints
        self.documents: dict[str, int] = {}
        self.queries: dict[str, int] = {}
        self.positives: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self.negatives = array("q")

    def add(self, source: Source, split: Callable[[str], str]) -> None:
        """Take in rows of {query, positive, negative?} in any known spelling; `split` gives the split of a query."""
        for line, row in source.rows:
            try:
                query, positives, negatives = _triple(row)
            except BadRow as bad:
                self.complaints.about(source.name, line, bad)
                continue
            high = self.queries.setdefault(query, len(self.queries)) << 32
            self.positives[split(query)].extend(high | self._document(text) for text in positives)
            self.negatives.extend(high | self._document(text) for text in negatives)

    def add_documents(self, source: Source) -> None:
        """Take in documents that no pair needs to name, rows of {title?, text}; ids of theirs are not used."""
        for line, row in source.rows:
            try:
                self._document(document_text(row))
            except BadRow as bad:
                self.complaints.about(source.name, line, bad)

    def data(self, name: str) -> RetrievalData:
        """Build the set; raises `DataError` if nothing was taken in."""
        corpus = Texts.of([f"d{row}" for row in range(len(self.documents))], list(self.documents))
        queries = Texts.of([f"q{row}" for row in range(len(self.queries))], list(self.queries))
        qrels = {}
        for split, flat in self.positives.items():
            rows, docs = unpacked(np.unique(np.array(flat, np.int64)))
            qrels[split] = Qrels(rows, docs, np.ones(len(rows), np.float32))
        given = Ragged.of(*unpacked(np.array(self.negatives, np.int64)), len(queries)) if self.negatives else None
        return finished(name, corpus, queries, qrels, given, self.complaints)

    def _document(self, text: str) -> int:
        return self.documents.setdefault(text, len(self.documents))


def paired(
    name: str,
    splits: Mapping[str, Source],
    documents: Source | None,
    shares: tuple[int | float, int | float],
    complaints: Complaints,
) -> RetrievalData:
    """Read each split's rows, then the extra documents; a lone `train` is divided by the (dev, test) shares.

    Raises `DataError` if nothing is left.
    """
    pairs = Pairs(complaints)
    for split, source in splits.items():
        if len(splits) == 1:
            pairs.add(source, lambda query: split_of(query, *shares))
        else:
            pairs.add(source, lambda query, split=split: split)  # type: ignore[misc]
    if documents is not None:
        pairs.add_documents(documents)
    return pairs.data(name)


@lru_cache(maxsize=256)
def pair_fields(fields: tuple[str, ...]) -> tuple[str, list[str], list[str]]:
    """Tell which fields hold the query, the positives and the negatives; raises `BadRow` without the first two."""
    query = next((key for key in QUERY if key in fields), None)
    positives = [key for key in fields if POSITIVE.fullmatch(key)]
    if query is None or not positives:
        lacks = "query" if query is None else "positive"
        raise BadRow("missing field", f"no {lacks} field (there are: {', '.join(fields) or 'none'})", LAYOUT)
    return query, positives, [key for key in fields if NEGATIVE.fullmatch(key)]


def _triple(row: Mapping[str, Any]) -> tuple[str, list[str], list[str]]:
    query, positive_keys, negative_keys = pair_fields(tuple(row))
    text = filled(string(row, query), query)
    positives = [doc for key in positive_keys for doc in _strings(row[key], key)]
    negatives = [doc for key in negative_keys for doc in _strings(row[key], key)]
    if not positives:
        raise BadRow("query without positive", "the row has no positive", "add one or remove the row")
    if negatives and not set(positives).isdisjoint(negatives):
        raise BadRow("contradiction", "the same text is positive and negative", "keep it on one side")
    return text, positives, negatives


def _strings(value: Any, key: str) -> list[str]:
    if value is None:  # columns of different lengths are filled up with null
        return []
    values = value if isinstance(value, list) else [value]
    for text in values:
        if not isinstance(text, str):
            raise wrong_type(key, text, "a string or a list of strings")
        filled(text, key)
    return values
