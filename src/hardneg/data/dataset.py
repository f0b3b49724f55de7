"""From (epoch, index) to a training batch: draw the documents, look up their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int, Int32, Int64
from torch.utils.data import Dataset

from hardneg.data.ragged import Ragged
from hardneg.data.sampler import Place
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.matrix.batch import Batch


@runtime_checkable
class DrawsNegatives(Protocol):
    """What a data set needs of its negative sources together (`hardneg.negatives.mixture.Mixture`)."""

    relabels: bool

    @property
    def version(self) -> tuple[int, ...]:
        """Changes when draws for the same place change."""

    def draw_batch(
        self, epochs: Int[np.ndarray, " n"], queries: Int[np.ndarray, " n"], batch: int = 0
    ) -> tuple[Int32[np.ndarray, "n k"], Int32[np.ndarray, "n k"], Float32[np.ndarray, "n k"]]:
        """Return ids, source labels and teacher scores of the rows' negatives."""

    def relabelled(self, query: int) -> tuple[Int32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Return the documents that a source takes for positives of the query, with the teacher's scores."""

    def positive_teachers(
        self, queries: Int[np.ndarray, " n"], which: Int[np.ndarray, "n P"]
    ) -> Float32[np.ndarray, "n P"]:
        """Return the teacher's scores of labelled positives, NaN if unknown."""


@dataclass
class Drawn:
    """The rows of a batch: each a query with the documents drawn for it, as row numbers."""

    queries: np.ndarray  # (B,)
    docs: np.ndarray  # (B, G), positives first
    source: np.ndarray  # (B, G)
    teacher: np.ndarray  # (B, G)
    positives: int
    relabelled: dict[int, np.ndarray]  # by place in the batch, where there are any; with all documents of the same text


class TrainingRows(Dataset):
    """Row (epoch, row, batch): the query, `positives` of its positives, and its drawn negatives.

    The slots rotate over the query's labelled positives and those that a source has relabelled, so that n epochs show
    each of n equally often. A query with fewer positives than slots shows them all, padded with -1. What one source has
    relabelled is no negative of any other.
    """

    def __init__(self, training: TrainingSet, mixture: DrawsNegatives, positives: int = 1) -> None:
        self.queries, self.labelled = training.queries, training.positives
        self.mixture, self.positives = mixture, positives
        self.twins = training.twins if mixture.relabels else None
        self.groups = training.data.corpus.groups if mixture.relabels else None

    def __len__(self) -> int:
        return len(self.queries)

    def __getitems__(self, places: Sequence[Place]) -> Drawn:
        """Draw the rows of one batch, all at once: what a data loader calls where it is there."""
        epochs, indices, batches = np.array(places, np.int64).reshape(-1, 3).T
        assert (batches == batches[0]).all(), "the places belong to different batches"
        queries = self.queries[indices].astype(np.int64)
        ids, source, teacher = self.mixture.draw_batch(epochs, queries, int(batches[0]))
        shown, scores = self.shown(epochs, queries)
        drawn = Drawn(
            queries=queries,
            docs=np.concatenate([shown, ids], axis=1),
            source=np.concatenate([np.zeros(shown.shape, np.int32), source], axis=1),
            teacher=np.concatenate([scores, teacher], axis=1),
            positives=self.positives,
            relabelled={},
        )
        if self.mixture.relabels:
            for place, (epoch, query) in enumerate(zip(epochs.tolist(), queries.tolist(), strict=True)):
                self.relabel(drawn, place, epoch, query)
        return drawn

    def shown(
        self, epochs: Int64[np.ndarray, " n"], queries: Int64[np.ndarray, " n"]
    ) -> tuple[Int32[np.ndarray, "n P"], Float32[np.ndarray, "n P"]]:
        """Return the labelled positives of this epoch and the teacher's scores of them."""
        slots, counts = np.arange(self.positives), self.labelled.counts[queries][:, None]
        which = (epochs[:, None] * self.positives + slots) % counts
        which = np.where(slots < counts, which, -1)
        return self.labelled.at(queries, which), self.mixture.positive_teachers(queries, which)

    def relabel(self, drawn: Drawn, place: int, epoch: int, query: int) -> None:
        """Let a row show relabelled documents in turn too, and draw none of them."""
        relabelled, judged = self.mixture.relabelled(query)
        known = self.of_the_same_text(relabelled)
        if not len(known):
            return
        drawn.relabelled[place] = known
        void = np.isin(drawn.docs[place], known)  # a positive of one source is no negative of another
        drawn.docs[place, void], drawn.teacher[place, void] = -1, np.nan
        labelled = self.labelled[query]
        every = np.concatenate([labelled, relabelled])
        turn = (epoch * self.positives + np.arange(min(self.positives, len(every)))) % len(every)
        own = turn < len(labelled)
        scores = self.mixture.positive_teachers(np.array([query]), np.where(own, turn, -1)[None])[0]
        scores[~own] = judged[turn[~own] - len(labelled)]
        drawn.docs[place, : self.positives], drawn.teacher[place, : self.positives] = -1, np.nan
        drawn.docs[place, : len(turn)], drawn.teacher[place, : len(turn)] = every[turn], scores

    def of_the_same_text(self, docs: Int32[np.ndarray, " n"]) -> Int32[np.ndarray, " m"]:
        """Return these documents and all others with the text of one of them."""
        if self.twins is None or self.groups is None or not len(docs):
            return docs
        return np.concatenate([self.twins[group] for group in np.unique(self.groups[docs]).tolist()])


@runtime_checkable
class TeacherVectors(Protocol):
    """Vectors of another encoder, NaN for missing ones (`hardneg.teachers.stored_vectors`)."""

    def of_queries(self, rows: Int[np.ndarray, " B"]) -> Float32[np.ndarray, "B T"]:
        """Read those of queries."""

    def of_documents(self, rows: Int[np.ndarray, "B G"], positives: int) -> Float32[np.ndarray, "B S T"] | None:
        """Read those of each row's first slots, as many as are wanted; None where none are."""


class Collate:
    """Make a `Batch` of drawn rows, reading tokens, and a teacher's `vectors`, from memory-mapped tables."""

    def __init__(
        self,
        queries: TokenTable,
        docs: TokenTable,
        training: TrainingSet,
        has_teacher: bool,
        vectors: TeacherVectors | None = None,
    ) -> None:
        self.queries, self.docs, self.excluded, self.has_teacher = queries, docs, training.excluded, has_teacher
        self.vectors = vectors

    def __call__(self, drawn: Drawn) -> Batch:
        """Look up the texts, padded to the longest of the batch."""
        return Batch(
            queries=self.queries.batch(drawn.queries),
            docs=self.docs.batch(drawn.docs.ravel()),
            **self._taught(drawn),
            **as_tensors(drawn, self.excluded, self.has_teacher),
        )

    def _taught(self, drawn: Drawn) -> dict[str, Any]:
        """The teacher's vectors, where there is one."""
        if self.vectors is None:
            return {}
        docs = self.vectors.of_documents(drawn.docs, drawn.positives)
        return {
            "teacher_queries": torch.from_numpy(self.vectors.of_queries(drawn.queries)),
            "teacher_docs": None if docs is None else torch.from_numpy(docs),
        }


def as_tensors(drawn: Drawn, excluded: Ragged, has_teacher: bool) -> dict[str, Any]:
    """Return what every kind of batch holds (see `batch.Rows`); `excluded` are the non-negatives of each query."""
    width = max((len(found) for found in drawn.relabelled.values()), default=0)
    relabelled = np.full((len(drawn.queries), width), -1, np.int32)
    for place, found in drawn.relabelled.items():
        relabelled[place, : len(found)] = found
    known_ids = np.concatenate([excluded.padded(drawn.queries), relabelled], axis=1)
    return {
        "query_ids": torch.from_numpy(drawn.queries),
        "doc_ids": torch.from_numpy(drawn.docs.astype(np.int64)),
        "source": torch.from_numpy(drawn.source.astype(np.int64)),
        "positive_ids": torch.from_numpy(known_ids.astype(np.int64)),
        "teacher": torch.from_numpy(drawn.teacher) if has_teacher else None,
        "positives": drawn.positives,
    }
