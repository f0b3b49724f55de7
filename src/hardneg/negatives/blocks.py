"""The batch's other blocks: queries against queries, documents against documents, documents against queries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Columns
from hardneg.matrix.paired_columns import PAIRINGS
from hardneg.negatives.base import OnlineSource
from hardneg.system import collectives, distributed

BLOCKS = PAIRINGS[1:]  # the first is in_batch


class Blocks(OnlineSource):
    """Contrast each row with the others in more ways than its query with their documents, which is in_batch.

    `of` names the blocks by what stands for the row and what for the other rows, each with its first positive as the
    document. All three are GTE's improved loss (Li et al. 2023, arXiv:2308.03281); query_query and document_document
    are Qwen3-Embedding's (arXiv:2506.05176). What the labels hold together is `related`, for filter=known_positives to
    drop: queries with a known positive in common, a document and a query that knows it, and two documents of which the
    query of one knows the other. With `hard` the columns of document_document are the other rows' drawn negatives too,
    as in Qwen3-Embedding's equation 1; with `own` the row's own too, as in its training code (ms-swift).

    Raises `ConfigError` for other blocks, and for `own` without `hard`.
    """

    of_batch = True

    def __init__(self, of: Sequence[str] = BLOCKS, hard: bool = False, own: bool = False) -> None:
        super().__init__()
        if isinstance(of, str) or not of or not set(of) <= set(BLOCKS):
            raise ConfigError(f"negatives.blocks.of must be a list of {', '.join(BLOCKS)}, got {of!r}")
        if own and not hard:
            raise ConfigError("negatives.blocks.own=true is of drawn negatives, and needs negatives.blocks.hard=true")
        self.of, self.hard, self.own = tuple(dict.fromkeys(of)), hard, own

    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer W*B columns of each block, W*B*G of document_document with `hard`."""
        sides = [block.split("_")[1] for block in self.of]
        rows = torch.arange(len(q), device=q.device) + distributed.rank() * len(q)
        owner, known = collectives.gather(rows), collectives.gather_padded(batch.positive_ids)
        slots = d.shape[1] if self.hard else 1
        docs = batch.doc_ids[:, :slots].flatten()
        emb = {"query": collectives.gather(q), "document": collectives.gather(d[:, :slots].flatten(0, 1))}
        ids = {"query": collectives.gather(batch.query_ids), "document": collectives.gather(docs)}
        owners = {"query": owner, "document": owner.repeat_interleave(slots)}
        if self.own:
            drawn = torch.arange(slots, device=q.device).repeat(len(owner)) >= batch.positives
            owners["document"] = owners["document"].masked_fill(drawn, -1)
        related = self._related(batch, ids["document"], known)
        places = [
            torch.full_like(owners[side], PAIRINGS.index(block)) for side, block in zip(sides, self.of, strict=True)
        ]
        return Columns(
            emb=torch.cat([emb[side] for side in sides]),
            ids=torch.cat([ids[side] for side in sides]),
            owner=torch.cat([owners[side] for side in sides]),
            pairing=torch.cat(places),
            related=torch.cat([related[block] for block in self.of], dim=1),
        )

    def _related(
        self, batch: Batch, docs: Int[Tensor, " D"], known: Int[Tensor, "M P"]
    ) -> dict[str, Bool[Tensor, "B _"]]:
        """Mark, by block, the rows and columns that the labels hold together; `docs` and `known` are the columns'."""
        theirs = _holds(known, batch.doc_ids[:, 0])  # they know this row's document
        related = {"document_query": theirs}
        if "document_document" in self.of:
            slots = len(docs) // len(known)
            shown = torch.arange(slots, device=docs.device) < batch.positives  # the others are drawn
            by_them = theirs.repeat_interleave(slots, dim=1) & shown.repeat(len(known))
            related["document_document"] = by_them | _holds(batch.positive_ids, docs).T
        if "query_query" in self.of:
            related["query_query"] = torch.zeros_like(theirs)
            for positive in batch.positive_ids.unbind(dim=1):  # one pass per positive, to avoid a (B, M, P, P) array
                related["query_query"] |= _holds(known, positive)
        return related


def _holds(sets: Int[Tensor, "M P"], ids: Int[Tensor, " B"]) -> Bool[Tensor, "B M"]:
    """Say of each id (-1: no) whether each of the sets (padded with -1) holds it, without waiting for the device."""
    ordered = sets.sort(dim=1).values
    asked = ids.expand(len(sets), len(ids)).contiguous()
    place = torch.searchsorted(ordered, asked).clamp(max=ordered.shape[1] - 1)
    return ((ordered.gather(1, place) == asked) & (ids >= 0)).T
