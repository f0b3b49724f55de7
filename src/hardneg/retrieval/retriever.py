"""A dual encoder, its token tables and a data set: ask it to rank the corpus for the queries of some splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hardneg import distributed
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import TokenTable
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.retrieval.embedding import embed_table
from hardneg.retrieval.metrics import Run
from hardneg.retrieval.search import exact


@dataclass(frozen=True)
class Retriever:
    """Ranks the whole corpus by exact search, with the towers as they are at the time of asking.

    Of several data sets in one each query ranks the documents of its own.
    """

    data: RetrievalData
    queries: TokenTable
    docs: TokenTable
    precision: str

    def runs(self, towers: Towers, splits: Sequence[str], depth: int) -> dict[str, Run]:
        """Return the `depth` best documents of each query of each split; the corpus is embedded once for all."""
        docs = embed_table(towers, self.docs, DOCUMENT, self.precision, "documents")
        found = {}
        for split in splits:
            rows = self.data.split(split).query_rows
            queries = embed_table(towers, self.queries, QUERY, self.precision, f"{split} queries", rows)
            mine = distributed.shard(len(rows))  # each rank a share of the queries
            scores, ids = self._rank(rows[mine], queries[mine], docs, depth)
            scores, ids = (distributed.gather_rows(part, len(rows)) for part in (scores, ids))
            found[split] = Run(rows, ids.int().cpu().numpy(), scores.cpu().numpy())
        return found

    def _rank(
        self, rows: np.ndarray, q: Float[Tensor, "Q D"], docs: Float[Tensor, "N D"], depth: int
    ) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
        """Search for the query rows, set by set; a smaller set's lists are filled up with -1."""
        width = min(depth, max(len(part.docs) for part in self.data.parts))
        scores = torch.full((len(q), width), -torch.inf, device=q.device)
        ids = torch.full((len(q), width), -1, device=q.device)
        for part, here in self.data.by_part(rows):
            best, places = exact(q[here], [docs[part.docs.start : part.docs.stop]], depth)
            scores[here, : best.shape[1]], ids[here, : best.shape[1]] = best, places + part.docs.start
        return scores, ids
