"""Another encoder's similarities of a step's rows and candidates, from precomputed vectors."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hardneg.matrix.candidates import Candidates
from hardneg.matrix.paired_columns import DOCUMENT_QUERY

AT_ONCE = 2**25  # components of documents' vectors held for a block of rows


@runtime_checkable
class OtherVectors(Protocol):
    """The other encoder's vectors of the texts; rows of NaN for what it has not embedded."""

    def identity(self) -> dict[str, Any]:
        """Everything that determines the vectors, as plain values."""

    def queries(self, rows: Int[Tensor, "*any"]) -> Float[Tensor, "*any T"]:
        """Those of rows of the query table, on their device."""

    def documents(self, rows: Int[Tensor, "*any"]) -> Float[Tensor, "*any T"]:
        """Those of rows of the document table, on their device."""


def similarities(vectors: OtherVectors, c: Candidates) -> Float[Tensor, "B N"]:
    """The other encoder's similarity of every row and candidate, paired as in the step.

    NaN where it does not know one of the two.
    """
    assert c.query_ids is not None, "whose candidates they are must be known"
    q = vectors.queries(c.query_ids)
    own = c.ids.shape[1] if c.slots is None else c.slots
    scores = _of_own(vectors, q, c.ids[:, :own])
    if own == c.ids.shape[1]:
        return scores
    ids = c.ids[0, own:]  # online sources offer their columns to every row
    if c.paired is None:
        return torch.cat([scores, q @ vectors.documents(ids).T], dim=1)
    pairing, of_query = c.paired.pairing[own:], c.paired.of_query[own:]
    asked = vectors.queries(ids.masked_fill(~of_query, -1))
    columns = torch.where(of_query[:, None], asked, vectors.documents(ids.masked_fill(of_query, -1)))
    firsts = vectors.documents(c.ids[:, 0])
    return torch.cat([scores, torch.where(pairing >= DOCUMENT_QUERY, firsts @ columns.T, q @ columns.T)], dim=1)


def _of_own(vectors: OtherVectors, q: Float[Tensor, "B T"], ids: Int[Tensor, "B G"]) -> Float[Tensor, "B G"]:
    """Each row's similarity to documents of its own; of long lists a block of rows at a time."""
    rows = max(AT_ONCE // max(ids.shape[1] * q.shape[1], 1), 1)
    parts = [
        torch.einsum("bt,bgt->bg", some, vectors.documents(of_them))
        for some, of_them in zip(q.split(rows), ids.split(rows), strict=True)
    ]
    return torch.cat(parts)
