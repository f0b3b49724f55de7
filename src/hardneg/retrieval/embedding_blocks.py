"""The embeddings of a corpus as blocks on disk: bounded memory, shared by ranks, and kept over an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hardneg.encoders.towers import DOCUMENT
from hardneg.errors import ConfigError
from hardneg.retrieval.embed_tables import embed_rows
from hardneg.retrieval.model import Model, Reader
from hardneg.system import distributed
from hardneg.system.atomic_write import atomic_write
from hardneg.system.progress import Progress, progress

SIZE = 8192  # documents a block


class Blocks:
    """Embeddings of the documents `rows`, in an order of our own (by length); `rows[position]` is the document."""

    def __init__(self, paths: list[Path], rows: Int[np.ndarray, " N"], dim: int) -> None:
        self.paths, self.rows, self.dim = paths, rows, dim

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Float[Tensor, "_ D"]]:
        """Read one block after the other; memory holds one."""
        return (torch.from_numpy(np.load(path)) for path in self.paths)

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.rows, kind="stable")
        return self.rows[order], order

    def has(self, documents: Int[np.ndarray, ...]) -> np.ndarray:
        """Whether each document is among them."""
        rows, _ = self._sorted
        found = np.searchsorted(rows, documents)
        return rows[np.minimum(found, len(rows) - 1)] == documents if len(rows) else np.zeros(documents.shape, bool)

    def take(self, documents: Int[np.ndarray, " n"]) -> Float[Tensor, "n D"]:
        """Read the embeddings of these documents (all of them must be among the rows)."""
        rows, order = self._sorted
        positions = order[np.searchsorted(rows, documents)]
        out = torch.empty(len(documents), self.dim)
        for block in np.unique(positions // SIZE):
            here = np.flatnonzero(positions // SIZE == block)
            mapped = np.load(self.paths[block], mmap_mode="r")
            out[torch.from_numpy(here)] = torch.from_numpy(mapped[positions[here] % SIZE])
        return out


def embed_blocks(model: Model, rows: Int[np.ndarray, " N"], folder: Path, name: str) -> Blocks:
    """Embed these documents into `folder`, or only what is still missing there; ranks take turns block by block.

    Documents are sorted by length before they are cut into blocks, so a block holds the same texts, padded the same
    way, whoever computes it: one process, several ranks or a second attempt write the same bytes. Vectors that the
    model brings along (`embedded`) are taken as they are.
    """
    rows = rows[np.argsort(model.docs.lengths[rows], kind="stable")[::-1]]
    cuts = [rows[start : start + SIZE] for start in range(0, len(rows), SIZE)]
    paths = [folder / f"{name}-{index:05d}.npy" for index in range(len(cuts))]
    mine = range(distributed.rank(), len(cuts), distributed.world_size())
    stored = model.embedded.reader(model) if model.embedded is not None and len(rows) else None
    with progress(sum(len(cuts[i]) for i in mine), f"embed {name}", "documents") as bar:
        for index in mine:
            if paths[index].exists():
                bar.skip(len(cuts[index]))
                continue
            write_array(paths[index], _vectors(model, cuts[index], stored, bar))
    distributed.barrier()
    if missing := [path for path in paths if not path.exists()]:
        raise ConfigError(
            f"{missing[0]} was written by another rank but cannot be seen here; `cache` must be a folder that all ranks"
            " share"
        )
    return Blocks(paths, rows, model.towers.dim)


def _vectors(model: Model, rows: Int[np.ndarray, " N"], stored: Reader | None, bar: Progress) -> np.ndarray:
    """Read what is stored, and embed the rest."""
    if stored is None:
        return embed_rows(model.towers, model.docs, DOCUMENT, model.precision, rows, bar).cpu().numpy()
    there, vectors = stored(rows)
    bar.skip(len(vectors))
    out = np.empty((len(rows), model.towers.dim), np.float32)
    out[there] = vectors
    if not there.all():
        out[~there] = embed_rows(model.towers, model.docs, DOCUMENT, model.precision, rows[~there], bar).cpu().numpy()
    return out


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a `.npy` file that is either whole or not there."""
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.save(file, array)
