"""One index over the ranks of a run: each searches its share of the documents for every query, and writes files.

No collective is needed: ranks meet once, when all have searched, however long one takes. After an interruption the same
number of ranks searches nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32
from torch import Tensor

from hardneg.retrieval.embedding_blocks import EmbeddingBlocks, read_rows
from hardneg.retrieval.search import Search
from hardneg.system import agreement, distributed
from hardneg.system.cache import check_seen
from hardneg.system.memory_map import write_array
from hardneg.system.progress import Progress, progress

FIND = np.dtype([("score", np.float32), ("position", np.int32)])

# Of query rows (Q,) and K: their embeddings on the CPU, and scores and positions of documents, -1 where there are no
# more. The K best of each query are among them, in no particular order; of those as good as the last the first
# are taken, however many ranks have searched.
Nearest = Callable[
    [Int32[np.ndarray, " Q"], int],
    tuple[Float[Tensor, "Q D"], Float32[np.ndarray, "Q C"], Int[np.ndarray, "Q C"]],
]


def nearest_in_shares(
    search: Search, docs: EmbeddingBlocks, queries: EmbeddingBlocks, depth: int, device: torch.device, folder: Path
) -> Nearest:
    """Search all queries in this rank's share, wait for the other ranks, and return a reader of what all have found.

    No query may be asked for more than `depth` documents. `folder` is one that all ranks see; its owner removes what is
    left there. Raises `ConfigError` where the ranks do not see each other's files.
    """
    ranks = distributed.world_size()
    search_share(search, docs, queries, depth, device, folder)
    agreement.barrier()
    shares = [finds(folder, len(queries.paths), depth, number, ranks) for number in range(ranks)]
    check_seen([path for share in shares for path in share])
    widths = [min(depth, len(docs.share(number, ranks))) for number in range(ranks)]

    def nearest(asked: np.ndarray, k: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
        assert k <= depth, f"{k} documents were asked for, and {depth} were searched for"
        positions, columns = queries.positions(asked), []
        for share, width in zip(shares, widths, strict=True):
            columns.append(np.empty((len(asked), width), FIND))
            read_rows(share, positions, columns[-1])
        found = np.concatenate(columns, axis=1)
        if ranks > 1:  # each has kept as many as a single process would
            best = np.lexsort((found["position"], -found["score"]), axis=1)[:, :k]
            found = np.take_along_axis(found, best, axis=1)
        return queries.take(asked), found["score"], found["position"]

    return nearest


def search_share(
    search: Search, docs: EmbeddingBlocks, queries: EmbeddingBlocks, depth: int, device: torch.device, folder: Path
) -> None:
    """Index this rank's share of the documents, and write what each block of queries finds there."""
    number, ranks = distributed.rank(), distributed.world_size()
    share = docs.share(number, ranks)
    paths = finds(folder, len(queries.paths), depth, number, ranks)
    if all(path.exists() for path in paths):
        return
    searcher = search.over(share, device) if len(share) else None
    with progress(len(queries), "search", "queries") as bar:
        for chunk in _chunks(paths, queries, search.queries_at_once(docs.dim, depth, device), bar):
            q = torch.cat([block for _, block in chunk])
            found = np.empty((len(q), min(depth, len(share))), FIND)
            if searcher is not None:
                scores, positions = searcher(q.to(device), depth, _moving(bar, len(q), len(share)))
                found["score"] = scores.cpu().numpy()
                found["position"] = np.where(positions.cpu() >= 0, positions.cpu() + share.start, -1)
            start = 0
            for path, block in chunk:
                write_array(path, found[start : start + len(block)])
                start += len(block)


def _chunks(
    paths: list[Path], queries: EmbeddingBlocks, size: int, bar: Progress
) -> Iterator[list[tuple[Path, Tensor]]]:
    """Group the blocks that are not searched yet, up to `size` queries, each with its file."""
    chunk: list[tuple[Path, Tensor]] = []
    for path, block in zip(paths, queries, strict=True):
        if path.exists():
            bar.skip(len(block))
            continue
        if chunk and sum(len(held) for _, held in chunk) + len(block) > size:
            yield chunk
            chunk = []
        chunk.append((path, block))
    if chunk:
        yield chunk


def _moving(bar: Progress, queries: int, documents: int) -> Callable[[int], None]:
    """Move a bar of queries by the share of the documents that all of these have met."""
    met, shown = 0, 0

    def tick(more: int) -> None:
        nonlocal met, shown
        met += more
        bar.update(queries * met // documents - shown)
        shown = queries * met // documents

    return tick


def finds(folder: Path, blocks: int, depth: int, number: int, ranks: int) -> list[Path]:
    """Name the files of one share, one for each block of queries; those of other shares have other names."""
    return [folder / f"nearest-{depth}-{block:05d}-{number}-of-{ranks}.npy" for block in range(blocks)]
