"""Exact nearest-neighbour search in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

QUERIES, DOCS = 1024, 32_768  # a block of scores: 128 MB in float32


@torch.inference_mode()
def exact(
    q: Float[Tensor, "Q D"], d: Float[Tensor, "N D"], k: int, step: Callable[[int], object] | None = None
) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
    """Return scores and rows of the `k` best documents (or all, if fewer) of each query, best first.

    Blocks of queries meet blocks of documents and a running top-k is kept, so memory does not grow with either count.
    `step(n)` is called when n more queries are done, for a progress bar.
    """
    k = min(k, len(d))
    all_scores, all_rows = [], []
    for block in q.split(QUERIES):
        best = torch.empty(len(block), 0, device=q.device)
        rows = torch.empty(len(block), 0, dtype=torch.long, device=q.device)
        for start in range(0, len(d), DOCS):
            scores = block @ d[start : start + DOCS].T
            top, where = scores.topk(min(k, scores.shape[1]))
            best, rows = torch.cat([best, top], dim=1), torch.cat([rows, where + start], dim=1)
            if start:
                best, order = best.topk(min(k, best.shape[1]))
                rows = rows.gather(1, order)
        all_scores.append(best)
        all_rows.append(rows)
        if step is not None:
            step(len(block))
    return torch.cat(all_scores), torch.cat(all_rows)
