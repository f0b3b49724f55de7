"""From (epoch, index) to a training batch: draw the documents, look up their tokens, stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from hardneg.batch import Batch
from hardneg.data.sampler import Place
from hardneg.data.tables import Ragged
from hardneg.data.tokens import TokenTable
from hardneg.data.training import TrainingSet
from hardneg.negatives.mixture import Mixture


@dataclass
class Row:
    """One query with the documents drawn for it, as row numbers."""

    query: int
    docs: np.ndarray  # (G,), slot 0 is the positive
    source: np.ndarray  # (G,)
    teacher: np.ndarray  # (G,)


class TrainingRows(Dataset):
    """Row (epoch, row, batch): the query, one of its positives, and its drawn negatives."""

    def __init__(self, training: TrainingSet, mixture: Mixture) -> None:
        self.queries, self.positives = training.queries, training.positives
        self.mixture = mixture

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, place: Place) -> Row:
        epoch, index, batch = place
        query = int(self.queries[index])
        positives = self.positives[query]
        which = epoch % len(positives)
        ids, source, teacher = self.mixture.draw(epoch, query, batch)
        return Row(
            query=query,
            docs=np.concatenate([positives[which : which + 1], ids]),
            source=np.concatenate([np.zeros(1, np.int32), source]),
            teacher=np.append(np.float32(self.mixture.positive_teacher(query, which)), teacher),
        )


class Collate:
    """Stack rows into a `Batch`, reading tokens from the memory-mapped tables."""

    def __init__(self, queries: TokenTable, docs: TokenTable, training: TrainingSet, has_teacher: bool) -> None:
        self.queries, self.docs, self.known, self.has_teacher = queries, docs, training.known, has_teacher

    def __call__(self, rows: list[Row]) -> Batch:
        """Stack the rows; texts are padded to the longest of the batch."""
        return Batch(
            queries=self.queries.batch(np.array([row.query for row in rows])),
            docs=self.docs.batch(np.concatenate([row.docs for row in rows])),
            **stacked(rows, self.known, self.has_teacher),
        )


def stacked(rows: list[Row], known: Ragged, has_teacher: bool) -> dict[str, Any]:
    """Stack what every kind of batch holds (see `batch.Rows`)."""
    query_ids = np.array([row.query for row in rows])
    return {
        "query_ids": torch.from_numpy(query_ids),
        "doc_ids": torch.from_numpy(np.stack([row.docs for row in rows]).astype(np.int64)),
        "source": torch.from_numpy(np.stack([row.source for row in rows]).astype(np.int64)),
        "positive_ids": torch.from_numpy(known.padded(query_ids).astype(np.int64)),
        "teacher": torch.from_numpy(np.stack([row.teacher for row in rows])) if has_teacher else None,
    }
