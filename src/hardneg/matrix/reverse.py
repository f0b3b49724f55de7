"""The other direction of a symmetric loss: each positive document against the queries of the batch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.matrix.batch import Batch, Rows
from hardneg.matrix.candidates import Candidates, Columns, column_scores, own_scores
from hardneg.system import collectives, distributed


def all_queries(q: Float[Tensor, "B D"], batch: Batch) -> Columns:
    """The queries of all rows and ranks, as columns for the other half of a symmetric loss; ids are query rows."""
    queries = collectives.gather(q)
    return Columns(
        emb=queries,
        ids=collectives.gather(batch.query_ids),
        owner=torch.full_like(queries[:, 0], -1, dtype=torch.long),  # several rows may have the same query
    )


def reverse(q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], queries: Columns, batch: Batch) -> Candidates:
    """Contrast each positive document with `all_queries`: the other half of a symmetric loss.

    The B*P positives come row by row; the ids are query rows here, -1 beside a padded positive. A query with the
    document among its known positives is no negative of it; nor is the same query in another row, which has the same
    known positives.
    """
    slots = batch.positives
    ids = batch.doc_ids[:, :slots].flatten()
    own = batch.query_ids.repeat_interleave(slots)[:, None]
    paired = Rows(
        query_ids=ids,
        doc_ids=own.masked_fill(ids[:, None] < 0, -1),
        source=torch.zeros_like(own),
        positive_ids=own,
    )
    documents = d[:, :slots].flatten(0, 1)
    c = Candidates.scored(_own_queries(q, documents), paired, ("positive", "in_batch")).add(
        documents, queries, "in_batch"
    )
    row = torch.arange(len(ids), device=q.device) // slots + distributed.rank() * len(q)
    known = torch.arange(len(queries.ids), device=q.device) == row[:, None]
    for positive in collectives.gather_padded(batch.positive_ids).unbind(dim=1):  # avoids a (B*P, W*B, K) array
        known |= positive == ids[:, None]
    return c.keep(torch.cat([c.positive[:, :1], ~known], dim=1))


def reverse_scores(
    q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], queries: Columns, slots: int
) -> Float[Tensor, "BP WB1"]:
    """The scores of `reverse` alone, of `slots` positives a row."""
    documents = d[:, :slots].flatten(0, 1)
    return torch.cat([_own_queries(q, documents), column_scores(documents, None, queries)], dim=1)


def _own_queries(q: Float[Tensor, "B D"], documents: Float[Tensor, "BP D"]) -> Float[Tensor, "BP 1"]:
    return own_scores(documents, q.repeat_interleave(len(documents) // len(q), dim=0)[:, None])
