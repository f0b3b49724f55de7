"""What is trained on: the queries of one split, their positives, and all that is known to be relevant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32

from hardneg.data.ragged import Ragged, runs
from hardneg.data.same_set_batches import Order
from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import DataError
from hardneg.system.cache import fingerprint


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The queries of one split that have a positive; the epoch goes over queries, not over pairs.

    A query with several positives shows others each epoch, in turn. `kept` marks which of the labelled `pairs` are
    trained on (null: all): the others are no positives, and no negatives either.

    Raises `DataError` for a split in which no query has a relevant document.
    """

    data: RetrievalData
    split: str = "train"
    kept: Bool[np.ndarray, " pairs"] | None = None

    def __post_init__(self) -> None:
        if not len(self.queries):
            raise DataError(f"split {self.split!r} of {self.data.name!r} holds no query with a relevant document")

    @cached_property
    def queries(self) -> Int32[np.ndarray, " n"]:
        """Rows in the query table, in order."""
        return np.flatnonzero(self.positives.counts).astype(np.int32)

    @cached_property
    def asked(self) -> Texts:
        """The training queries alone: a vocabulary made from others would hold what training never sees."""
        return Texts(self.data.queries.ids.take(self.queries), self.data.queries.texts.take(self.queries))

    @cached_property
    def pairs(self) -> Ragged:
        """All documents that are labelled relevant to every query row, whether they are trained on or not."""
        labelled = self.data.split(self.split).relevant
        return Ragged.of(labelled.queries, labelled.docs, len(self.data.queries))

    @cached_property
    def positives(self) -> Ragged:
        """The labelled positives of every query row that are trained on: what its first slots are taken from."""
        if self.kept is None:
            return self.pairs
        return Ragged.of(self.pairs.row_ids[self.kept], self.pairs.values[self.kept], len(self.pairs))

    def popularity(self, slots: int = 1) -> Float32[np.ndarray, " C"]:
        """The share of positive slots that hold each document, where a row has `slots` and fills them in turn.

        Of several data sets the share is of its own set's slots: batches are of one set.
        """
        counts = self.positives.counts
        filled = np.minimum(counts, slots)
        weight = (filled / counts.clip(min=1))[self.positives.row_ids]
        share = np.bincount(self.positives.values, weight, minlength=len(self.data.corpus))
        for part, here in self.data.by_part(self.queries):
            own = slice(part.docs.start, part.docs.stop)
            share[own] = share[own] / filled[self.queries[here]].sum()
        return share.astype(np.float32)

    @cached_property
    def known(self) -> Ragged:
        """All documents known to be relevant to every query row: what no source may use as a negative.

        The labelled positives of all queries with the same text, and all documents with the same text as one of them:
        in one public set 7.5% of the rows had a negative identical to its positive under another id. Of several sets
        each asks in its own sense, so queries share positives only within a set; a document with a positive's text is
        one in any set.
        """
        query_group, doc_group = self.data.queries.groups, self.data.corpus.groups
        if len(self.data.parts) > 1:
            part = self.data.parts_of(np.arange(len(query_group)))
            _, query_group = np.unique(query_group.astype(np.int64) * len(self.data.parts) + part, return_inverse=True)
        askers = Ragged.of(query_group, np.arange(len(query_group)), int(query_group.max(initial=-1)) + 1)
        queries, docs = _expand(askers, query_group[self.pairs.row_ids], self.pairs.values)
        docs, queries = _expand(self.twins, doc_group[docs], queries)
        return Ragged.of(queries, docs, len(self.data.queries))

    @cached_property
    def excluded(self) -> Ragged:
        """The `known` of every query row, and the document that the query is itself: no source's negative."""
        own = self.data.own
        if own is None:
            return self.known
        queries = np.flatnonzero(own >= 0)
        rows = np.concatenate([self.known.row_ids, queries])
        return Ragged.of(rows, np.concatenate([self.known.values, own[queries]]), len(self.known))

    @property
    def leaves_no_negative(self) -> bool:
        """Whether every document is a positive of every training query, or of the text of one."""
        texts = int(self.data.corpus.groups.max(initial=-1)) + 1
        if texts > self.positives.counts.max():
            return False  # as nearly everywhere, without a look at what is known
        return bool((self.known.counts[self.queries] == len(self.data.corpus)).all())

    @cached_property
    def twins(self) -> Ragged:
        """The documents of each text, by its number in `corpus.groups`."""
        group = self.data.corpus.groups
        return Ragged.of(group, np.arange(len(group)), int(group.max(initial=-1)) + 1)

    @cached_property
    def fingerprint(self) -> str:
        """Hash corpus, queries and labels: part of the name of everything mined from them."""
        labels = [self.positives.offsets.tolist(), self.positives.values.tolist()]
        named: list[Any] = [self.data.corpus.fingerprint, self.data.queries.fingerprint, labels]
        named += [self.data.bounds, None if self.data.own is None else self.data.own.tolist()]
        named += [None if self.kept is None else [self.pairs.offsets.tolist(), self.pairs.values.tolist()]]
        return fingerprint(named)

    @property
    def order(self) -> Order:
        """How the batches of an epoch come about."""
        sets = {part.name: here.stop - here.start for part, here in self.data.by_part(self.queries)}
        return Order(sets, self.data.temper, self.data.blended)


def _expand(members: Ragged, group: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replace each (group, other) pair by one pair for every member of the group."""
    repeats = members.counts[group]
    return members.values[runs(members.offsets[group], repeats)], np.repeat(other, repeats)
