"""Arrays on disk that processes share: written whole, opened on first use, never pickled by value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hardneg.system.atomic_write import atomic_write


class Mapped:
    """A read-only `.npy` file; a pickled copy carries the path, so data-loading workers share the pages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def array(self) -> np.ndarray:
        """The memory-mapped array, as a plain view (np.memmap's own indexing is slower)."""
        return np.load(self.path, mmap_mode="r").view(np.ndarray)

    def __getstate__(self) -> dict:
        return {"path": self.path}


@dataclass(frozen=True)
class Held:
    """An array in memory, where a `Mapped` one might be."""

    array: np.ndarray


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a `.npy` file, which is complete or not there."""
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.save(file, array)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an `.npz` file, which is complete or not there."""
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
