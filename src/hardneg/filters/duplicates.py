"""Duplicates: of several candidates with one text only the first is kept."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter
from hardneg.filters.lookup import Lookup
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.paired_columns import PAIRINGS


class Duplicates(CandidateFilter):
    """Keep the first of the row's candidates with the same text (surrounding blanks aside), block by block.

    A text that the corpus has under ten ids would otherwise make ten of a query's hundred negatives.
    """

    def __init__(self, at: str = "mined") -> None:
        super().__init__(at)
        self._groups = self._query_groups = Lookup(torch.empty(0, dtype=torch.long))

    def prepare(self, training: TrainingSet) -> None:
        """Number the texts of the corpus and of the queries."""
        self._groups = Lookup(torch.from_numpy(training.data.corpus.groups).long())
        self._query_groups = Lookup(torch.from_numpy(training.data.queries.groups).long())

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where an earlier valid candidate of the row has the same text."""
        groups = self._groups.on(c.ids.device)
        text = groups[c.ids if c.of_query is None else c.ids.masked_fill(c.of_query, 0)] if len(groups) else c.ids
        if c.paired is not None and c.of_query is not None:
            # Only columns of one pairing can be copies: a query is none of a document, whatever their texts.
            queries = self._query_groups.on(c.ids.device)
            asked = queries[c.ids.masked_fill(~c.of_query, 0)] if len(queries) else c.ids
            text = torch.where(c.of_query, asked, text) * len(PAIRINGS) + c.paired.pairing
        columns = torch.arange(c.ids.shape[1], device=c.ids.device).expand_as(c.ids)
        text = torch.where(c.valid, text, -1 - columns)  # a candidate that is out already has no duplicates
        text, order = text.sort(dim=1, stable=True)
        again = torch.zeros_like(c.valid)
        again[:, 1:] = text[:, 1:] == text[:, :-1]
        return ~torch.zeros_like(c.valid).scatter(1, order, again)
