"""Arrays on disk that processes share: opened on first use, never pickled by value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np


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
