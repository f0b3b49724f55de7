"""Work in blocks that the ranks of a run do by turns: each is a file once it is done, so an attempt goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from hardneg.system import agreement, distributed
from hardneg.system.cache import built_once, built_together, check_seen
from hardneg.system.progress import Progress

Rows = TypeVar("Rows", np.ndarray, range)
Files = list[tuple[Rows, Path]]  # the rows of each block, and its file


def cut(rows: Rows, size: int, folder: Path, name: str) -> Files[Rows]:
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


def built(
    folder: Path,
    work: Path,
    make: Callable[[], Files[Rows]],
    join: Callable[[Path, Files[Rows], float], None],
    together: bool = True,
) -> Path:
    """Return `folder` of the cache, building it from blocks if it is not there; they stay in `work` until it is.

    `make` writes those of this rank that are missing and returns all of them; `join` puts them together in the folder
    that it is given, and hears how many seconds they took. Of the ranks of a run, which all ask, each makes a share
    (`built_together`), or, unless `together`, one makes all (`built_once`). Raises `ConfigError` where a rank does not
    see what another has written.
    """

    def build(unfinished: Path | None) -> None:
        started = time.perf_counter()
        blocks = make()
        agreement.barrier()  # the last block may be another rank's
        if unfinished is not None:
            check_seen([path for _, path in blocks])
            join(unfinished, blocks, round(time.perf_counter() - started, 3))

    (built_together if together else built_once)(folder, build)
    if distributed.rank() == 0:
        shutil.rmtree(work, ignore_errors=True)
    return folder
