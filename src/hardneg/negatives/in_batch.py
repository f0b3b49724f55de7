"""In-batch negatives: the other rows' documents, on every rank."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Columns
from hardneg.negatives.base import OnlineSource
from hardneg.system import collectives, distributed


class InBatch(OnlineSource):
    """Offer all rows' positives, and with `hard` their drawn negatives too, to every other row (DPR, arXiv:2004.04906).

    Documents are gathered across ranks with gradient, so W ranks of B rows see the pool of one rank of W*B rows. With
    `logq` the positives are corrected for their popularity; drawn negatives do not come by it.
    """

    def __init__(self, hard: bool = True, logq: bool = False) -> None:
        super().__init__(logq)
        self.hard = hard

    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer W*B*G documents, or the W*B*P positives without `hard`."""
        slots = d.shape[1] if self.hard else batch.positives
        rows = torch.arange(len(q), device=q.device) + distributed.rank() * len(q)
        columns = Columns(
            emb=collectives.gather(d[:, :slots].flatten(0, 1)),
            ids=collectives.gather(batch.doc_ids[:, :slots].flatten()),
            owner=collectives.gather(rows.repeat_interleave(slots)),
        )
        if not self.logq:
            return columns
        positive = (collectives.gather(batch.source[:, :slots].flatten()) == 0) & (columns.ids >= 0)
        others = 1 - 1 / (len(q) * distributed.world_size())  # a row never meets its own
        expected = positive.sum() * others * self.share(columns.ids)
        return replace(columns, log_q=expected.log().masked_fill(~positive | (expected == 0), torch.nan))
