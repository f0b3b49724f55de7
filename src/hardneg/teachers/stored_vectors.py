"""Vectors of training queries and documents: computed once into the cache, and read back batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from hardneg.data.distinct import distinct
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.towers import QUERY
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks, document_blocks, embed_blocks, read_rows
from hardneg.retrieval.model import Model
from hardneg.system import open_files
from hardneg.system.cache import fingerprint, taking_turns


def stored_vectors(model: Model, training: TrainingSet, documents: str, cache: Path) -> StoredVectors:
    """Embed the training queries and the documents with this model, unless the cache has them."""
    queries = query_blocks(model, training.queries, cache)
    if documents == "none":
        return StoredVectors(queries, None, documents)
    corpus = np.arange(len(training.data.corpus), dtype=np.int32)
    asked = distinct(training.positives.values).astype(np.int32) if documents == "positives" else corpus
    return StoredVectors(queries, document_blocks(model, asked, cache / "vectors"), documents)


def query_blocks(model: Model, rows: Int[np.ndarray, " N"], cache: Path) -> EmbeddingBlocks:
    """Embed these queries into the cache, under the weights and rows."""
    folder = cache / "vectors" / fingerprint([model.identity(), "queries", rows.tolist()])
    with taking_turns(folder):
        return embed_blocks(model, rows, folder, "queries", QUERY)


class StoredVectors:
    """The vectors of queries and documents, on disk; `documents` says for which slots a batch wants them.

    Data-loading processes open the files for themselves.
    """

    def __init__(self, queries: EmbeddingBlocks, docs: EmbeddingBlocks | None, documents: str) -> None:
        self.queries, self.docs, self.documents = queries, docs, documents
        self._opened: dict[Path, np.ndarray] = {}

    @property
    def dim(self) -> int:
        """The width of the vectors."""
        return self.queries.dim

    def of_queries(self, rows: Int[np.ndarray, " B"]) -> Float32[np.ndarray, "B T"]:
        """Read those of queries."""
        return self.read(self.queries, rows)

    def of_documents(self, rows: Int[np.ndarray, "B G"], positives: int) -> Float32[np.ndarray, "B S T"] | None:
        """Read those of the positives of each row, or of all its slots; None where none are wanted."""
        if self.docs is None:
            return None
        wanted = rows if self.documents == "all" else rows[:, :positives]
        return self.read(self.docs, wanted.ravel()).reshape(*wanted.shape, self.dim)

    def read(self, blocks: EmbeddingBlocks, rows: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n T"]:
        """Read rows, NaN for those that are not there."""
        out = np.full((len(rows), self.dim), np.nan, np.float32)
        there = blocks.has(rows)
        found = np.empty((int(there.sum()), self.dim), np.float32)
        read_rows(blocks.paths, blocks.positions(rows[there]), found, self._file)
        out[there] = found
        return out

    def _file(self, path: Path) -> np.ndarray:
        """Open each file once, since a batch reads from many, as long as there are not too many open."""
        if path in self._opened:
            return self._opened[path]
        opened = np.load(path, mmap_mode="r").view(np.ndarray)
        if len(self._opened) < open_files.share():
            self._opened[path] = opened
        return opened

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_opened": {}}
