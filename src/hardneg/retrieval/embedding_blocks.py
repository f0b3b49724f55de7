"""The embeddings of a corpus as blocks on disk: bounded memory, shared by ranks, surviving an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hardneg.encoders.towers import DOCUMENT
from hardneg.retrieval.model import Model, Reader
from hardneg.system import agreement, distributed, shared_blocks
from hardneg.system.cache import check_seen, taking_turns
from hardneg.system.memory_map import write_array
from hardneg.system.progress import Progress, progress

SIZE = 8192  # documents a block


class EmbeddingBlocks:
    """Embeddings of the documents `rows`, in an order of our own (by length); `rows[position]` is the document.

    `share` is a part of them, which begins at `start` of the `whole`. Queries are kept like this too.
    """

    def __init__(self, paths: list[Path], rows: Int[np.ndarray, " N"], dim: int) -> None:
        self.paths, self.rows, self.dim = paths, rows, dim
        self.start = 0
        self._whole: EmbeddingBlocks | None = None

    def share(self, number: int, of: int) -> EmbeddingBlocks:
        """Return one of `of` parts, equally large but for one block; nothing is copied.

        Parts are cut where blocks are, so that products have the shapes that they have for one process, and its bits.
        """
        blocks = -(-len(self) // SIZE)
        start, end = (min(blocks * edge // of * SIZE, len(self)) for edge in (number, number + 1))
        part = EmbeddingBlocks(self.paths, self.rows[start:end], self.dim)
        part.start, part._whole = self.start + start, self.whole
        return part

    @property
    def whole(self) -> EmbeddingBlocks:
        """The whole that this is a share of; itself if it is not a share."""
        return self if self._whole is None else self._whole

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Float[Tensor, "_ D"]]:
        """Read one block after the other; memory holds one."""
        before, end = 0, self.start + len(self)
        for path in self.paths:
            mapped = _mapped(path)
            inside = mapped[max(self.start - before, 0) : max(end - before, 0)]
            before += len(mapped)
            if len(inside):
                yield torch.from_numpy(np.array(inside))

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.rows, kind="stable")
        return self.rows[order], order

    def has(self, documents: Int[np.ndarray, "*any"]) -> np.ndarray:
        """Whether each document is among them."""
        rows, _ = self._sorted
        found = np.searchsorted(rows, documents)
        return rows[np.minimum(found, len(rows) - 1)] == documents if len(rows) else np.zeros(documents.shape, bool)

    def take(self, documents: Int[np.ndarray, " n"]) -> Float[Tensor, "n D"]:
        """Read the embeddings of these documents (all of them must be among the rows)."""
        out = np.empty((len(documents), self.dim), np.float32)
        read_rows(self.paths, self.positions(documents), out)
        return torch.from_numpy(out)

    def positions(self, documents: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return where these documents are in the files (all of them must be among the rows)."""
        rows, order = self._sorted
        return self.start + order[np.searchsorted(rows, documents)]


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r")


def read_rows(
    paths: list[Path],
    positions: Int[np.ndarray, " n"],
    out: np.ndarray,
    opened: Callable[[Path], np.ndarray] = _mapped,
) -> None:
    """Fill `out` with the rows at these positions of an array that is cut into files of `SIZE` rows.

    Each file is `opened` once, and the work beside reading grows with the positions, not with positions x files.
    """
    order = np.argsort(positions, kind="stable")
    blocks, starts = np.unique(positions[order] // SIZE, return_index=True)
    for block, start, end in zip(blocks.tolist(), starts, [*starts[1:], len(order)], strict=False):
        here = order[start:end]
        out[here] = opened(paths[block])[positions[here] % SIZE]


def document_blocks(model: Model, rows: Int[np.ndarray, " N"], work: Path, name: str = "documents") -> EmbeddingBlocks:
    """Embed these documents into the model's permanent folder, if it has one, or else into `work`."""
    if model.vectors is None or not len(rows):
        return embed_blocks(model, rows, work, name)
    folder = model.vectors / model.vectors_name(rows)
    with taking_turns(folder):
        return embed_blocks(model, rows, folder, "documents")


def embed_blocks(
    model: Model, rows: Int[np.ndarray, " N"], folder: Path, name: str, side: str = DOCUMENT
) -> EmbeddingBlocks:
    """Embed these documents into `folder`, or only what is still missing there; ranks take turns block by block.

    Documents are sorted by length before they are cut into blocks, so a block holds the same texts, padded the same
    way, whoever computes it: one process, several ranks or a second attempt write the same bytes. Vectors that the
    model brings along (`embedded`) are taken as they are. Queries are embedded likewise, as another `side`.
    """
    rows = rows[np.argsort(model.table(side).lengths[rows], kind="stable")[::-1]]
    blocks = shared_blocks.cut(rows, SIZE, folder, f"{name}-{{:05d}}.npy")
    paths = [path for _, path in blocks]
    brought = model.embedded if side == DOCUMENT and len(rows) else None
    stored = None if brought is None else brought.reader(model)
    unit = "documents" if side == DOCUMENT else "queries"
    mine = sum(len(here) for here, _ in blocks[distributed.rank() :: distributed.world_size()])
    with progress(mine, f"embed {name}", unit) as bar:
        for here, path in shared_blocks.own(blocks, bar):
            write_array(path, _vectors(model, side, here, stored, bar))
    agreement.barrier()
    check_seen(paths)
    return EmbeddingBlocks(paths, rows, model.towers.dim)


def _vectors(model: Model, side: str, rows: Int[np.ndarray, " N"], stored: Reader | None, bar: Progress) -> np.ndarray:
    """Read what is stored, and embed the rest."""
    if stored is None:
        return model.embed(side, rows, bar).cpu().numpy()
    there, vectors = stored(rows)
    bar.skip(len(vectors))
    out = np.empty((len(rows), model.towers.dim), np.float32)
    out[there] = vectors
    if not there.all():
        out[~there] = model.embed(side, rows[~there], bar).cpu().numpy()
    return out
