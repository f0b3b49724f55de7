"""Duplicates: of several candidates with one text only the first is kept."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter
from hardneg.filters.lookup import Lookup
from hardneg.matrix.candidates import Candidates


class Duplicates(CandidateFilter):
    """Keep the first of the row's candidates with the same text (surrounding blanks aside).

    A text that stands in the corpus under ten ids would otherwise be ten of the hundred negatives of a query.
    """

    def __init__(self, at: str = "mined") -> None:
        super().__init__(at)
        self._groups = Lookup(torch.empty(0, dtype=torch.long))

    def prepare(self, training: TrainingSet) -> None:
        """Number the texts of the corpus."""
        self._groups = Lookup(torch.from_numpy(training.data.corpus.groups).long())

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where an earlier valid candidate of the row has the same text."""
        text = self._groups.on(c.ids.device)[c.ids] if len(self._groups) else c.ids
        columns = torch.arange(c.ids.shape[1], device=c.ids.device).expand_as(c.ids)
        text = torch.where(c.valid, text, -1 - columns)  # what is out already is nobody's duplicate
        text, order = text.sort(dim=1, stable=True)
        again = torch.zeros_like(c.valid)
        again[:, 1:] = text[:, 1:] == text[:, :-1]
        return ~torch.zeros_like(c.valid).scatter(1, order, again)
