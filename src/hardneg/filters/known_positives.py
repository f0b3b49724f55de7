"""Label coverage: a document known to be relevant to the query is never its negative."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.candidates import Candidates


class KnownPositives:
    """Drop every known positive of the row's query, on every path (the qrels-aware mask of DRhard, arXiv:2104.08051).

    `positive_ids` already names all documents with the same text as a positive and the positives of all queries with
    the same text, so matching by id here is matching by text too.
    """

    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return False where the candidate is a known positive of its row."""
        keep = torch.ones_like(c.valid)
        for known in positive_ids.unbind(dim=1):  # one pass a positive: no (B, N, P) array
            keep &= c.ids != known[:, None]
        return keep
