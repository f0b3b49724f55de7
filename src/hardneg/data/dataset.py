"""From (epoch, index) to a training batch: draw the documents, look up their tokens, stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int32
from torch.utils.data import Dataset

from hardneg.data.sampler import Place
from hardneg.data.tables import Ragged
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.matrix.batch import Batch


@runtime_checkable
class Draws(Protocol):
    """What a data set needs of its negative sources together (`hardneg.negatives.mixture.Mixture`)."""

    relabels: bool

    @property
    def version(self) -> tuple[int, ...]:
        """Changes when the same place would be drawn otherwise than before."""

    def draw(
        self, epoch: int, query: int, batch: int = 0
    ) -> tuple[Int32[np.ndarray, " k"], Int32[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
        """Return ids, source labels and teacher scores of a row's negatives."""

    def relabelled(self, query: int) -> tuple[Int32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Return what some source takes for positives of the query, with the teacher's scores."""

    def positive_teacher(self, query: int, which: int) -> float:
        """Return the teacher's score of a labelled positive, NaN if unknown."""


@dataclass
class Row:
    """One query with the documents drawn for it, as row numbers."""

    query: int
    docs: np.ndarray  # (G,), positives first
    source: np.ndarray  # (G,)
    teacher: np.ndarray  # (G,)
    positives: int = 1
    relabelled: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))  # with all of the same text


class TrainingRows(Dataset):
    """Row (epoch, row, batch): the query, `positives` of its positives, and its drawn negatives.

    The slots turn over the query's labelled positives and those that a source has relabelled, so that n epochs show
    each of n as often as any other. A query that has fewer than there are slots shows them all, padded with -1. What
    one source has relabelled is no other's negative.
    """

    def __init__(self, training: TrainingSet, mixture: Draws, positives: int = 1) -> None:
        self.queries, self.labelled = training.queries, training.positives
        self.mixture, self.positives = mixture, positives
        self.twins = training.twins if mixture.relabels else None
        self.groups = training.data.corpus.groups if mixture.relabels else None

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, place: Place) -> Row:
        epoch, index, batch = place
        query = int(self.queries[index])
        ids, source, teacher = self.mixture.draw(epoch, query, batch)
        relabelled, judged = self.mixture.relabelled(query)
        known = self.of_the_same_text(relabelled)
        if len(known):  # one source's positive is no other's negative
            void = np.isin(ids, known)
            ids, teacher = np.where(void, np.int32(-1), ids), np.where(void, np.float32(np.nan), teacher)
        shown, scores = self.shown(epoch, query, relabelled, judged)
        return Row(
            query=query,
            docs=np.concatenate([shown, ids]),
            source=np.concatenate([np.zeros(self.positives, np.int32), source]),
            teacher=np.concatenate([scores, teacher]),
            positives=self.positives,
            relabelled=known,
        )

    def shown(
        self, epoch: int, query: int, relabelled: Int32[np.ndarray, " n"], judged: Float32[np.ndarray, " n"]
    ) -> tuple[Int32[np.ndarray, " P"], Float32[np.ndarray, " P"]]:
        """Return the positives of this epoch and what the teacher says of them."""
        labelled = self.labelled[query]
        every = np.concatenate([labelled, relabelled])
        turn = (epoch * self.positives + np.arange(min(self.positives, len(every)))) % len(every)
        docs, scores = np.full(self.positives, -1, np.int32), np.full(self.positives, np.nan, np.float32)
        docs[: len(turn)] = every[turn]
        for slot, which in enumerate(turn.tolist()):
            own = which < len(labelled)
            scores[slot] = self.mixture.positive_teacher(query, which) if own else judged[which - len(labelled)]
        return docs, scores

    def of_the_same_text(self, docs: Int32[np.ndarray, " n"]) -> Int32[np.ndarray, " m"]:
        """Return these documents and all others with the text of one of them."""
        if self.twins is None or self.groups is None or not len(docs):
            return docs
        return np.concatenate([self.twins[group] for group in np.unique(self.groups[docs]).tolist()])


class Collate:
    """Stack rows into a `Batch`, reading tokens from the memory-mapped tables."""

    def __init__(self, queries: TokenTable, docs: TokenTable, training: TrainingSet, has_teacher: bool) -> None:
        self.queries, self.docs, self.excluded, self.has_teacher = queries, docs, training.excluded, has_teacher

    def __call__(self, rows: list[Row]) -> Batch:
        """Stack the rows; texts are padded to the longest of the batch."""
        return Batch(
            queries=self.queries.batch(np.array([row.query for row in rows])),
            docs=self.docs.batch(np.concatenate([row.docs for row in rows])),
            **stacked(rows, self.excluded, self.has_teacher),
        )


def stacked(rows: list[Row], excluded: Ragged, has_teacher: bool) -> dict[str, Any]:
    """Stack what every kind of batch holds (see `batch.Rows`); `excluded` is what is no negative of each query."""
    query_ids = np.array([row.query for row in rows])
    relabelled = np.full((len(rows), max(len(row.relabelled) for row in rows)), -1, np.int32)
    for place, row in enumerate(rows):
        relabelled[place, : len(row.relabelled)] = row.relabelled
    known_ids = np.concatenate([excluded.padded(query_ids), relabelled], axis=1)
    return {
        "query_ids": torch.from_numpy(query_ids),
        "doc_ids": torch.from_numpy(np.stack([row.docs for row in rows]).astype(np.int64)),
        "source": torch.from_numpy(np.stack([row.source for row in rows]).astype(np.int64)),
        "positive_ids": torch.from_numpy(known_ids.astype(np.int64)),
        "teacher": torch.from_numpy(np.stack([row.teacher for row in rows])) if has_teacher else None,
        "positives": rows[0].positives,
    }
