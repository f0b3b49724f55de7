"""One pass over a corpus that ranks it for several sets of queries: documents pass in blocks and none is kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from hardneg.data.tables import RetrievalData
from hardneg.retrieval.exact_search import TopK, merged
from hardneg.system import agreement, collectives, distributed

# Blocks of documents, in order: their rows and their vectors.
Documents = Iterator[tuple[Int32[np.ndarray, " n"], Float[Tensor, "n D"]]]


class Lists:
    """The best documents so far of each query; with several data sets in one each query ranks its own set's.

    `rows` are the queries' rows, in order. Each rank sees a share of the documents, and the lists are merged.
    """

    def __init__(self, data: RetrievalData, rows: np.ndarray, queries: Float[Tensor, "Q D"], depth: int) -> None:
        self.rows, self.depth, self.device = rows, depth, queries.device
        self._sets = [(part.docs, here, TopK(queries[here], depth)) for part, here in data.by_part(rows)]

    def meet(self, documents: Int32[np.ndarray, " n"], vectors: Float[Tensor, "n D"]) -> None:
        """Take in these documents, whose rows come in order."""
        for docs, _, top in self._sets:
            start, end = np.searchsorted(documents, [docs.start, docs.stop]).tolist()
            if start < end:
                top.meet(vectors[start:end], torch.from_numpy(documents[start:end]).long().to(self.device))

    def best(self, width: int) -> tuple[Float[np.ndarray, "Q K"], Int32[np.ndarray, "Q K"]]:
        """Return scores and rows of the best documents, padded with -1 to a `width`; the same on every rank."""
        width = min(self.depth, width)
        scores = torch.full((len(self.rows), width), -torch.inf, device=self.device)
        ids = torch.full((len(self.rows), width), -1, device=self.device)
        for _, here, top in self._sets:
            of_scores, of_ids = top.best()
            scores[here, : of_scores.shape[1]], ids[here, : of_ids.shape[1]] = of_scores, of_ids
        if distributed.active():
            agreement.barrier()  # one may have had longer texts: the others wait outside of a collective
            scores, ids = (_side_by_side(part) for part in (scores, ids))
            scores, order = merged(scores, width)
            ids = ids.gather(1, order)
        return scores.cpu().numpy(), ids.int().cpu().numpy()


def _side_by_side(lists: Tensor) -> Tensor:
    """Gather the lists of all ranks, those of a query in one row, in the order of the ranks."""
    return torch.cat(collectives.gather(lists).chunk(distributed.world_size()), dim=1)
