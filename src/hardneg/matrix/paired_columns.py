"""What is set against what, where the columns of the score matrix are more than documents beside the query."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

# What represents the row, and what the column; `pairing` holds places in this list.
PAIRINGS = ("query_document", "query_query", "document_query", "document_document")
QUERY_DOCUMENT, QUERY_QUERY, DOCUMENT_QUERY = range(3)  # from the last on it is the row's document that represents it


@dataclass(frozen=True)
class PairedColumns:
    """How the rows are set against each column: `pairing` (see `PAIRINGS`) says by what, and what the column is.

    `related` marks the rows that the labels hold together with a column that is not query_document.
    """

    pairing: Int[Tensor, " N"]
    related: Bool[Tensor, "B N"]

    @classmethod
    def plain(cls, rows: int, columns: int, device: torch.device) -> PairedColumns:
        """So many columns of documents beside the query."""
        pairing = torch.zeros(columns, dtype=torch.long, device=device)
        return cls(pairing, torch.zeros(rows, columns, dtype=torch.bool, device=device))

    def beside(self, other: PairedColumns) -> PairedColumns:
        """Append another's columns."""
        pairing = torch.cat([self.pairing, other.pairing])
        return PairedColumns(pairing, torch.cat([self.related, other.related], dim=1))

    @property
    def of_query(self) -> Bool[Tensor, " N"]:
        """The columns that are queries."""
        return (self.pairing == QUERY_QUERY) | (self.pairing == DOCUMENT_QUERY)
