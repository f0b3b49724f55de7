"""Work in blocks that the ranks of a run do by turns: each is a file once it is done, so an attempt goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from hardneg.system import agreement, distributed
from hardneg.system.progress import Progress

Rows = TypeVar("Rows", np.ndarray, range)


def cut(rows: Rows, size: int, folder: Path, name: str) -> list[tuple[Rows, Path]]:
    """Cut rows into blocks of `size`, each with its file in the folder; `name` says where its number stands, {:05d}."""
    return [(rows[start : start + size], folder / name.format(start // size)) for start in range(0, len(rows), size)]


def share_of(count: int) -> int:
    """Return how many of so many rows a rank has to do, of blocks that are small beside them."""
    return -(-count // distributed.world_size())


def own(blocks: Sequence[tuple[Rows, Path]], bar: Progress, first: int = 0) -> Iterator[tuple[Rows, Path]]:
    """Yield the blocks of this rank that have no file yet; those that have one count as done before.

    `first` is how many blocks of the same work there were before these.
    """
    ranks = distributed.world_size()
    for rows, path in blocks[(distributed.rank() - first) % ranks :: ranks]:
        if path.exists():
            bar.skip(len(rows))
        else:
            yield rows, path


def any_missing(paths: Iterable[Path]) -> bool:
    """Whether there is work left, as any rank sees the folder: all get one answer, and all of them must ask."""
    return any(agreement.everyone(not all(path.exists() for path in paths)))
