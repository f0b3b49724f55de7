"""An open Qdrant collection, and the errors of Qdrant's client in our words."""

from __future__ import annotations

import logging
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float32

from hardneg.errors import UserError
from hardneg.serving.backends.base import Vectors

log = logging.getLogger(__name__)

BATCH = 256  # points per request
PAUSE = 0.5  # seconds between two looks at a graph that is being built


class QdrantVectors(Vectors):
    """An open collection; `url` null: in a folder. A graph, if there is one, is searched `ef_search` wide."""

    def __init__(self, client: Any, collection: str, url: str | None, hnsw: bool, ef_search: int) -> None:
        self.client, self.collection, self.url = client, collection, url
        self.models = client_library().models
        # Local mode is always exact, and warns if it is asked for anything else.
        params = self.models.SearchParams(exact=not hnsw, hnsw_ef=ef_search)
        self.asked = None if url is None else params

    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Write points."""
        for start in range(0, len(ids), BATCH):
            points = [
                self.models.PointStruct(id=_point(name), vector=vector.tolist(), payload={"id": name})
                for name, vector in zip(ids[start : start + BATCH], vectors[start : start + BATCH], strict=True)
            ]
            with saying(self.url):
                self.client.upsert(self.collection, points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points."""
        if ids:
            points = self.models.PointIdsList(points=[_point(name) for name in ids])
            with saying(self.url):
                self.client.delete(self.collection, points, wait=True)

    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Ask for all queries at once."""
        asked = [
            self.models.QueryRequest(query=query.tolist(), limit=k, with_payload=True, params=self.asked)
            for query in queries
        ]
        with saying(self.url):
            answers = self.client.query_batch_points(self.collection, asked) if asked else []
        return [[(point.payload["id"], float(point.score)) for point in answer.points] for answer in answers]

    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Read points."""
        points = [_point(name) for name in ids]
        with saying(self.url):
            found = self.client.retrieve(self.collection, points, with_payload=True, with_vectors=True)
            dim = self.client.get_collection(self.collection).config.params.vectors.size
        held: dict[str, Any] = {point.payload["id"]: point.vector for point in found}
        out = np.full((len(ids), dim), np.nan, np.float32)
        for place, name in enumerate(ids):
            if name in held:
                out[place] = held[name]
        return out

    def count(self) -> int:
        """What Qdrant counts."""
        with saying(self.url):
            return int(self.client.count(self.collection).count)

    def save(self) -> None:
        """Wait until the graph is built: until then points outside it are scanned, and recall would be too high.

        Raises `UserError` where the server gives up.
        """
        status, woken, said = self.models.CollectionStatus, False, False
        while (info := self._info()).status != status.GREEN:
            if info.status == status.RED:
                raise UserError(f"the collection {self.collection} cannot be finished: {info.optimizer_status}")
            if info.status == status.GREY and not woken:
                # A restarted server goes on with a graph only after a change: this one has no effect.
                woken = True
                with saying(self.url):
                    self.client.update_collection(self.collection, optimizers_config=self.models.OptimizersConfigDiff())
            if not said:
                said = True
                log.info("%s: waiting for the server to finish the graph", self.collection)
            time.sleep(PAUSE)

    def _info(self) -> Any:
        with saying(self.url):
            return self.client.get_collection(self.collection)

    def close(self) -> None:
        """Release the folder, or disconnect."""
        self.client.close()


@contextmanager
def saying(url: str | None) -> Iterator[None]:
    """Turn the client's errors into a `UserError` that names the server and the remedy."""
    errors = client_library().http.exceptions
    try:
        yield
    except errors.UnexpectedResponse as error:
        said = f"index.url={url}: the server refused ({error.status_code}): {_reason(error)}"
        if error.status_code in (401, 403):
            said += "; set QDRANT_API_KEY to a key that may create, change and delete collections"
        raise UserError(said) from error
    except errors.ApiException as error:
        source = getattr(error, "source", error)
        raise UserError(f"index.url={url}: {source}; a Qdrant server must answer there") from error


def _reason(error: Any) -> str:
    """The server's own words: JSON from Qdrant itself, anything from a proxy before it."""
    try:
        return str(error.structured()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return error.content.decode(errors="replace")[:200].strip() or error.reason_phrase


def _point(name: str) -> str:
    """Qdrant names points by numbers or UUIDs: the one that this id always has."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def client_library() -> Any:
    """Qdrant's client; raises `UserError` where it is not installed."""
    try:
        import qdrant_client
        import qdrant_client.http.exceptions
        import qdrant_client.models
    except ImportError as error:
        raise UserError("index=qdrant needs its client: pip install 'hardneg[qdrant]'") from error
    warnings.filterwarnings("ignore", message="Local mode is not recommended.*")
    return qdrant_client
