"""An oracle among the filters: it knows the positives that the labels do not name."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter
from hardneg.filters.lookup import Lookup
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.membership import among


class Oracle(CandidateFilter):
    """Drop all that is relevant: by a generated set's truth, or by a file of judgements (`query, document, grade`)."""

    def __init__(self, file: str | None = None, at: str = "mined") -> None:
        super().__init__(at)
        self.file = file
        self._relevant = Lookup(torch.empty(0, dtype=torch.long))
        self._width = 1

    def prepare(self, training: TrainingSet) -> None:
        """Sort the relevant (query, document) pairs."""
        data = training.data
        self._width = len(data.corpus)
        if self.file is None:
            if data.truth is None:
                raise ValueError(f"filter.oracle: {data.name} knows no more than its labels; give filter.oracle.file")
            queries, docs = data.truth.relevant.queries, data.truth.relevant.docs
        else:
            queries, docs = read(Path(self.file), data.queries.rows, data.corpus.rows)
        self._relevant = Lookup(torch.from_numpy(np.unique(queries.astype(np.int64) * self._width + docs)))

    def identity(self) -> dict[str, Any]:
        """What it knows, by content."""
        known = blake2b(self._relevant.table.numpy().tobytes(), digest_size=16).hexdigest()
        return {"filter": "Oracle", "relevant": known}

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate is relevant."""
        assert c.query_ids is not None
        return ~among(c.query_ids[:, None] * self._width + c.ids, self._relevant.on(c.ids.device))


def read(file: Path, queries: dict[str, int], docs: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Read judgements in BEIR layout as rows of queries and documents."""
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    pairs = [(queries[query], docs[doc]) for query, doc, grade in lines if int(grade) > 0]
    found = np.array(pairs, np.int64)
    return found[:, 0], found[:, 1]
