"""The batch's other blocks: queries against queries, documents against documents, documents against queries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Columns
from hardneg.negatives.base import OnlineSource
from hardneg.system import distributed

BLOCKS = ("query_query", "document_query", "document_document")


class Blocks(OnlineSource):
    """Set each row against the others in more ways than by its query and their documents, which is in_batch.

    `of` names the blocks by what stands for the row and what for the other rows, each with its first positive as the
    document. All three are GTE's improved loss (Li et al. 2023, arXiv:2308.03281); query_query and document_document
    are Qwen3-Embedding's (arXiv:2506.05176). A column bears the id of its row's document, so that rows with a common
    positive are not set against each other.
    """

    def __init__(self, of: Sequence[str] = BLOCKS) -> None:
        super().__init__()
        if isinstance(of, str) or not of or not set(of) <= set(BLOCKS):
            raise ConfigError(f"negatives.blocks.of must be a list of {', '.join(BLOCKS)}, got {of!r}")
        self.of = tuple(dict.fromkeys(of))

    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer W*B columns of each block."""
        sides = [block.split("_") for block in self.of]
        rows = torch.arange(len(q), device=q.device) + distributed.rank() * len(q)
        whole = {"query": distributed.gather(q), "document": distributed.gather(d[:, 0])}
        ids, owner = distributed.gather(batch.doc_ids[:, 0]), distributed.gather(rows)
        return Columns(
            emb=torch.cat([whole[column] for _, column in sides]),
            ids=ids.repeat(len(sides)),
            owner=owner.repeat(len(sides)),
            by_document=torch.cat([torch.full_like(ids, row == "document", dtype=torch.bool) for row, _ in sides]),
        )
