"""One data set's candidates: with several sets in a run, no query is trained against another set's documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.filters.lookup import Lookup
from hardneg.matrix.candidates import Candidates


class SameSet(CandidateFilter):
    """Keep documents of the query's own data set; for queries of the sets `offline_only` only those drawn for them.

    Documents of other sets are too easy, and give away the set instead of the answer; batches are of one set already,
    but a queue is not. `offline_only` switches the online sources (in-batch, queue) off where other queries' documents
    are often relevant too, as where documents are class labels (NV-Embed, arXiv:2405.17428; BGE's `no_in_batch_neg`).

    Raises `ConfigError` for an `offline_only` that is not a list.
    """

    def __init__(self, offline_only: Sequence[str] = (), at: str = "live") -> None:
        super().__init__(at)
        if isinstance(offline_only, str):
            raise ConfigError(f"offline_only is a list of sets, so write [{offline_only}]")
        self.offline_only = list(offline_only)
        self._queries = self._docs = Lookup(torch.empty(0, dtype=torch.long))
        self._closed = Lookup(torch.zeros(1, dtype=torch.bool))

    def prepare(self, training: TrainingSet) -> None:
        """Note where each set's rows end; raises `ConfigError` for an unknown set."""
        parts = training.data.parts
        check_sets(self.offline_only, [part.name for part in training.data.mixed])
        self._queries = Lookup(torch.tensor([part.queries.stop for part in parts[:-1]], dtype=torch.long))
        self._docs = Lookup(torch.tensor([part.docs.stop for part in parts[:-1]], dtype=torch.long))
        self._closed = Lookup(torch.from_numpy(np.isin([part.name for part in parts], self.offline_only)))

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the document is of another set, or of an online source that the query does without."""
        if c.query_ids is None:
            return torch.ones_like(c.valid)
        of_query = torch.bucketize(c.query_ids, self._queries.on(c.ids.device), right=True)[:, None]
        of_column = torch.bucketize(c.ids, self._docs.on(c.ids.device), right=True)
        if c.of_query is not None:  # these ids are rows of the query table
            asked = torch.bucketize(c.ids, self._queries.on(c.ids.device), right=True)
            of_column = torch.where(c.of_query, asked, of_column)
        keep = of_column == of_query
        closed = self._closed.on(c.ids.device)[of_query]
        for name in c.online:
            keep &= ~(closed & (c.source == c.names.index(name)))
        return keep


def check_sets(names: Sequence[str], there: Sequence[str]) -> None:
    """Raise `ConfigError` for an unknown name of a data set."""
    if unknown := sorted(set(names) - set(there)):
        known = (
            f"none of data.sets ({', '.join(there)})" if there else "and there are no sets to name but with data=mix"
        )
        raise ConfigError(f"filter.same_set.offline_only names {', '.join(unknown)}, {known}")
