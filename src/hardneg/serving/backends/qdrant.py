"""Qdrant in local mode: a collection in a folder, through Qdrant's own client (extra hardneg[qdrant])."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from hardneg.errors import UserError
from hardneg.serving.backends.base import Backend, Vectors

COLLECTION = "documents"
BATCH = 256  # points a request


@dataclass(frozen=True)
class Qdrant(Backend):
    """A Qdrant collection in a folder of its own; a point's payload holds the document's id.

    Local mode is exact, holds all in memory and lets one process in at a time. Raises `UserError` for a second one.
    """

    def check(self) -> None:
        """Raise `UserError` where the client is not installed."""
        _client_library()

    def create(self, folder: Path, dim: int, documents: int) -> QdrantVectors:
        """Make the collection, unless a killed build left it."""
        library = _client_library()
        vectors = QdrantVectors(folder)
        if not vectors.client.collection_exists(COLLECTION):
            params = library.models.VectorParams(size=dim, distance=library.models.Distance.DOT)
            vectors.client.create_collection(COLLECTION, vectors_config=params)
        return vectors

    def open(self, folder: Path) -> QdrantVectors:
        """Read the collection."""
        return QdrantVectors(folder)


class QdrantVectors(Vectors):
    """An open collection."""

    def __init__(self, folder: Path) -> None:
        self.models = _client_library().models
        try:
            # Answers may come from any thread of a service; Qdrant's own lock lets one at a time at its storage.
            self.client = _client_library().QdrantClient(path=str(folder), force_disable_check_same_thread=True)
        except RuntimeError as error:
            raise UserError(
                f"{folder}: another process has this Qdrant folder open, and local mode lets one in; end it first, or"
                " take another index="
            ) from error

    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Write points."""
        for start in range(0, len(ids), BATCH):
            points = [
                self.models.PointStruct(id=_point(name), vector=vector.tolist(), payload={"id": name})
                for name, vector in zip(ids[start : start + BATCH], vectors[start : start + BATCH], strict=True)
            ]
            self.client.upsert(COLLECTION, points)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points."""
        if ids:
            self.client.delete(COLLECTION, self.models.PointIdsList(points=[_point(name) for name in ids]))

    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Ask for each query."""
        asked = [self.models.QueryRequest(query=query.tolist(), limit=k, with_payload=True) for query in queries]
        answers = self.client.query_batch_points(COLLECTION, asked) if asked else []
        return [[(point.payload["id"], float(point.score)) for point in answer.points] for answer in answers]

    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Read points."""
        found = self.client.retrieve(COLLECTION, [_point(name) for name in ids], with_payload=True, with_vectors=True)
        held: dict[str, Any] = {point.payload["id"]: point.vector for point in found}
        dim = self.client.get_collection(COLLECTION).config.params.vectors.size
        out = np.full((len(ids), dim), np.nan, np.float32)
        for place, name in enumerate(ids):
            if name in held:
                out[place] = held[name]
        return out

    def count(self) -> int:
        """What Qdrant counts."""
        return int(self.client.count(COLLECTION).count)

    def close(self) -> None:
        """Release the folder."""
        self.client.close()


def _point(name: str) -> str:
    """Qdrant names points by numbers or UUIDs: the one that this id always has."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def _client_library() -> Any:
    try:
        import qdrant_client
    except ImportError as error:
        raise UserError("index=qdrant needs its client: pip install 'hardneg[qdrant]'") from error
    warnings.filterwarnings("ignore", message="Local mode is not recommended.*")
    return qdrant_client
