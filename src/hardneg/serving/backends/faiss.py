"""faiss: an index in memory, read from a file."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from hardneg.errors import ConfigError
from hardneg.retrieval.search import POINTS, load_faiss, set_breadth
from hardneg.serving.backends.base import Backend, Vectors
from hardneg.system.atomic_write import atomic_write

log = logging.getLogger(__name__)

INDEX, NAMES = "index.faiss", "ids.arrow"


@dataclass(frozen=True)
class Faiss(Backend):
    """A faiss index by its factory string (Douze et al., arXiv:2401.08281), searched on the CPU.

    In "IVF*,PQ*" the stars are chosen by the corpus: cells near 4 sqrt(N), and a byte for 4 dimensions or a few more.
    `nprobe` is the number of cells an IVF index visits, `ef_search` the width of an HNSW search; the other one is
    ignored. Raises `ConfigError` for a string that faiss does not know, or that wants more documents than there are.
    """

    factory: str = "Flat"
    nprobe: int = 64
    ef_search: int = 128

    durable = False

    @property
    def lossless(self) -> bool:  # type: ignore[override]
        """Whether vectors are stored as they are."""
        return "PQ" not in self.factory and "SQ" not in self.factory

    @property
    def incremental(self) -> bool:
        """False for a graph, from which nothing can be removed: it is built anew, from the vectors that exist."""
        return "HNSW" not in self.factory

    def check(self) -> None:
        """Raise `UserError` where faiss is not installed."""
        load_faiss("index=faiss_*")

    def create(self, folder: Path, dim: int, documents: int) -> FaissVectors:
        """Make an empty index."""
        faiss = load_faiss("index=faiss_*")
        factory = chosen(self.factory, dim, documents)
        try:
            index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            raise ConfigError(f"index.factory={factory!r} is not a faiss index of {dim} dimensions: {error}") from error
        if hasattr(index, "do_polysemous_training"):
            index.do_polysemous_training = False  # a minute of annealing for a kind of search that is not used here
            index.pq.cp.min_points_per_centroid = 1  # faiss would warn once for each byte; we warn once
            if documents < POINTS * 256:
                log.warning(
                    "%d documents are few to learn codes from: %d or more give better ones", documents, POINTS * 256
                )
        if isinstance(index, faiss.IndexIVF):
            index.set_direct_map_type(faiss.DirectMap.Hashtable)  # finds a vector by its number, and removes it
        else:
            index = faiss.IndexIDMap2(index)
        return FaissVectors(folder, index, [], self)

    def open(self, folder: Path) -> FaissVectors:
        """Read the index into memory."""
        faiss = load_faiss("index=faiss_*")
        with pa.memory_map(str(folder / NAMES)) as source:
            names = pa.ipc.open_file(source).read_all().column("id").to_pylist()
        return FaissVectors(folder, faiss.read_index(str(folder / INDEX)), names, self)


class FaissVectors(Vectors):
    """A faiss index over running numbers; `names` are the ids by number, None for removed ones."""

    def __init__(self, folder: Path, index: Any, names: list[str | None], recipe: Faiss) -> None:
        self.folder, self.index, self.names, self.recipe = folder, index, names, recipe
        self.numbers = {name: number for number, name in enumerate(names) if name is not None}
        parameters = load_faiss("index=faiss_*").ParameterSpace()
        set_breadth(parameters, index, recipe.factory, recipe.nprobe, recipe.ef_search)

    @property
    def trained(self) -> bool:  # type: ignore[override]
        """Whether cells and codes are known, or none are needed."""
        return bool(self.index.is_trained)

    def train(self, sample: Float32[np.ndarray, "S D"]) -> None:
        """Find cells and codes; raises `ConfigError` for too few documents."""
        try:
            self.index.train(np.ascontiguousarray(sample))
        except RuntimeError as error:
            raise ConfigError(
                f"index.factory={self.recipe.factory!r} cannot be trained on {len(sample)} documents ({error}); take"
                " index=faiss_flat or faiss_hnsw"
            ) from error

    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Add under new numbers."""
        self.delete(ids)
        numbers = np.arange(len(self.names), len(self.names) + len(ids), dtype=np.int64)
        self.index.add_with_ids(np.ascontiguousarray(vectors), numbers)
        self.names.extend(ids)
        self.numbers.update(zip(ids, numbers.tolist(), strict=True))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove; a graph is built again from the others."""
        gone = [self.numbers.pop(name) for name in ids if name in self.numbers]
        if not gone:
            return
        for number in gone:
            self.names[number] = None
        if self.recipe.incremental:
            self.index.remove_ids(np.array(gone, np.int64))
            return
        kept = np.array(list(self.numbers.values()), np.int64)
        vectors = self._vectors(kept)
        self.index.reset()
        if len(kept):
            self.index.add_with_ids(vectors, kept)

    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Ask faiss; -1 stands for no result."""
        if not len(self.numbers):
            return [[] for _ in queries]
        scores, found = self.index.search(np.ascontiguousarray(queries), min(k, len(self.numbers)))
        return [
            [(str(self.names[number]), float(score)) for score, number in zip(*row, strict=True) if number >= 0]
            for row in zip(scores.tolist(), found.tolist(), strict=True)
        ]

    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Reconstruct; with product quantisation these are approximations."""
        out = np.full((len(ids), self.index.d), np.nan, np.float32)
        here = [place for place, name in enumerate(ids) if name in self.numbers]
        if here:
            out[here] = self._vectors(np.array([self.numbers[ids[place]] for place in here], np.int64))
        return out

    def _vectors(self, numbers: np.ndarray) -> Float32[np.ndarray, "N D"]:
        return (
            np.stack([self.index.reconstruct(int(n)) for n in numbers])
            if len(numbers)
            else np.empty((0, self.index.d), np.float32)
        )

    def count(self) -> int:
        """What faiss counts."""
        return int(self.index.ntotal)

    def save(self) -> None:
        """Write the index and the names, durably: the manifest comes after them, also after a power cut."""
        self.folder.mkdir(parents=True, exist_ok=True)
        table = pa.table({"id": pa.array(self.names, pa.large_string())})
        with atomic_write(self.folder / INDEX, alone=True) as draft:
            load_faiss("index=faiss_*").write_index(self.index, str(draft))
        with (
            atomic_write(self.folder / NAMES, alone=True) as draft,
            pa.OSFile(str(draft), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(table)


def chosen(factory: str, dim: int, documents: int) -> str:
    """Replace the stars of "IVF*,PQ*" by numbers that suit the corpus."""
    most = max(1, documents // POINTS)
    cells = min(2 ** round(math.log2(4 * math.sqrt(max(documents, 1)))), most)
    codes = next((count for count in range(dim // 4, 0, -1) if dim % count == 0), 1)
    return factory.replace("IVF*", f"IVF{cells}").replace("PQ*", f"PQ{codes}")
