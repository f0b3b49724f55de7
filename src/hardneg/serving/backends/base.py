"""The protocol of a vector database: as thin as what building, checking and searching an index needs."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from hardneg.errors import ConfigError


class Vectors(ABC):
    """An open set of vectors by document id; similarity is the inner product."""

    trained: bool = True  # otherwise `train` must come before the first `upsert`

    def train(self, sample: Float32[np.ndarray, "S D"]) -> None:
        """Learn from a sample, where there is something to learn."""
        raise NotImplementedError

    @abstractmethod
    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Add these; they replace what has the same ids."""

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Remove these; unknown ids do no harm."""

    @abstractmethod
    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Return ids and inner products of the `k` nearest (or all, if fewer) of each query, best first."""

    @abstractmethod
    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Return the stored vectors; a row of NaN for an id that is not there."""

    @abstractmethod
    def count(self) -> int:
        """How many vectors there are."""

    def save(self) -> None:  # noqa: B027
        """Make all that was done durable."""

    def close(self) -> None:  # noqa: B027
        """Release files and connections."""


@dataclass(frozen=True)
class Backend(ABC):
    """Describes a vector database; the constructor is cheap. `path` is the folder of the index.

    Every build has a place of its own: a folder, or a name at a server.

    Raises `ConfigError` for an empty `path`.
    """

    path: str

    lossless: ClassVar[bool] = True  # `fetch` returns what `upsert` was given
    durable: ClassVar[bool] = True  # what was upserted survives a killed process

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError("index.path is empty; name the folder that the index is to lie in")

    @property
    def incremental(self) -> bool:
        """Whether a copy with some documents changed is as good as a new one."""
        return True

    @abstractmethod
    def check(self) -> None:
        """Raise `UserError` where the client is not installed, with what to install."""

    @abstractmethod
    def create(self, folder: Path, dim: int, documents: int) -> Vectors:
        """Start an empty build, or go on with a durable one that exists."""

    @abstractmethod
    def open(self, folder: Path) -> Vectors:
        """Open a finished build to search it."""

    def copy(self, source: Path, folder: Path) -> None:
        """Begin a build as a copy of another one."""
        unfinished = folder.with_name(f"{folder.name}.copying")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(source, unfinished)
        unfinished.rename(folder)

    def switch(self, folder: Path) -> None:  # noqa: B027
        """Point a server's own alias to this build too, for clients that ask the server directly."""

    def drop(self, folder: Path) -> None:
        """Remove a build."""
        shutil.rmtree(folder, ignore_errors=True)

    def place(self, name: str, folder: Path) -> str:
        """Name a build at a server; builds with equal content have equal names, so the index's name is part of it."""
        root = blake2b(str(Path(self.path).resolve()).encode(), digest_size=4).hexdigest()
        return f"{name}_{root}_{folder.parent.name}"

    def identity(self) -> dict[str, Any]:
        """What determines the build beside the vectors: a node for `classes.build`, without the path."""
        settings = {key: value for key, value in asdict(self).items() if key != "path"}
        return {"_target_": f"{type(self).__module__}.{type(self).__name__}", **settings}
