"""Exact search by matrix products: documents are streamed once past all queries, and a running top-k is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

QUERIES, DOCS = 1024, 32_768  # a block of scores: at most 128 MB in float32
STATE = 512 * 1024**2  # bytes that queries and their best documents may take in main memory


def ignore(documents: int) -> None:
    """Take note of compared documents without showing anything."""


class TopK:
    """The `k` best documents so far of some queries, while documents come by in blocks.

    Of documents with equal scores the earlier ones are kept, however documents and queries are cut into blocks.
    """

    def __init__(self, queries: Float[Tensor, "Q D"], k: int) -> None:
        self._blocks = [_Block(block, k) for block in queries.split(QUERIES)]
        self._buffer = torch.empty(0, device=queries.device)

    @torch.inference_mode()
    def meet(self, docs: Float[Tensor, "N D"], ids: Int[Tensor, " N"]) -> None:
        """Score these documents and keep the best."""
        for d, names in zip(docs.split(DOCS), ids.split(DOCS), strict=True):
            size = max((len(block.queries) for block in self._blocks), default=0) * len(d)
            if len(self._buffer) < size:
                self._buffer = torch.empty(size, device=docs.device)
            for block in self._blocks:
                block.meet(d, names, self._buffer)

    def best(self) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
        """Return scores and ids of the `k` best (or of all, if fewer came) of each query, best first."""
        return torch.cat([block.scores for block in self._blocks]), torch.cat([block.ids for block in self._blocks])


class _Block:
    """The best documents of the queries that are scored at a time."""

    def __init__(self, queries: Float[Tensor, "Q D"], k: int) -> None:
        self.queries, self.k = queries, k
        self.scores = torch.empty(len(queries), 0, device=queries.device)
        self.ids = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)

    def meet(self, docs: Float[Tensor, "N D"], ids: Int[Tensor, " N"], buffer: Float[Tensor, " _"]) -> None:
        """Score these documents in memory that blocks share, and keep the best."""
        shape = (len(self.queries), len(docs))
        # Allocating memory for each product would cost as much as the product: the system clears every page of it.
        scores = torch.mm(self.queries, docs.T, out=buffer[: shape[0] * shape[1]].view(shape))
        if self.scores.shape[1] == self.k:
            better = scores > self.scores[:, -1:]
        elif len(docs) > self.k:
            better = scores >= scores.topk(self.k).values[:, -1:]
        else:
            better = torch.ones_like(scores, dtype=torch.bool)
        new, names = _picked(scores, better, ids)
        if new.shape[1]:
            self.scores, order = merged(torch.cat([self.scores, new], dim=1), self.k)
            self.ids = torch.cat([self.ids, names], dim=1).gather(1, order)


def merged(scores: Float[Tensor, "Q N"], k: int) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
    """Return the `k` best of each row and their places, best first; of equal ones the first."""
    sorted_, order = scores.sort(dim=1, descending=True, stable=True)
    return sorted_[:, :k], order[:, :k]


def _picked(
    scores: Float[Tensor, "Q N"], wanted: Bool[Tensor, "Q N"], ids: Int[Tensor, " N"]
) -> tuple[Float[Tensor, "Q W"], Int[Tensor, "Q W"]]:
    """Move the candidates of each row to its front: after a few blocks they are few, and sorting them costs nothing."""
    rows, columns = wanted.nonzero(as_tuple=True)
    counts = torch.bincount(rows, minlength=len(scores))
    place = torch.arange(len(rows), device=rows.device) - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    new = torch.full((len(scores), int(counts.max())), -torch.inf, device=scores.device)
    names = torch.full(new.shape, -1, dtype=torch.long, device=scores.device)
    new[rows, place], names[rows, place] = scores[rows, columns], ids[columns]
    return new, names


@torch.inference_mode()
def exact(
    q: Float[Tensor, "Q D"],
    docs: Iterable[Float[Tensor, "_ D"]],
    k: int,
    tick: Callable[[int], object] = ignore,
) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
    """Return scores and positions of the `k` best documents (or all, if fewer) of each query, best first.

    The documents are read once, and memory holds a block of them, so it grows with the queries alone (see
    `queries_at_once`). `tick` hears of each block of documents that all queries have met.
    """
    top, start = TopK(q, k), 0
    for held in docs:
        d = held.to(q.device)
        top.meet(d, torch.arange(start, start + len(d), device=q.device))
        start += len(d)
        tick(len(d))
    return top.best()


def queries_at_once(dim: int, k: int, device: torch.device) -> int:
    """How many queries one pass over the documents may serve: as many as have room for vectors and best documents.

    That is `STATE` bytes of main memory, or a quarter of what is free on a GPU, at `4 dim + 24 k` bytes a query: its
    vector, and scores (4 bytes) and places (8) of `k` documents twice, while they are merged.
    """
    free = torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else STATE
    return max(free // (4 * dim + 24 * k), QUERIES)
