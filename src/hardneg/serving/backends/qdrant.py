"""Qdrant, in a folder or at a server, through Qdrant's own client (extra hardneg[qdrant])."""

from __future__ import annotations

import logging
import os
import re
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float32

from hardneg.errors import ConfigError, UserError
from hardneg.serving.backends.base import Backend, Vectors

log = logging.getLogger(__name__)

COLLECTION = "documents"  # in local mode, where each build has a folder
BATCH = 256  # points a request
LONGEST = 200  # letters of a name; Qdrant takes 255, and the names of index and build come behind it
TIMEOUT, PAUSE = 60, 0.5  # seconds a request may take, and between two looks at a graph in the making


@dataclass(frozen=True)
class Qdrant(Backend):
    """Qdrant collections; a point's payload holds the document's id.

    With `url` they lie at that server as `NAME_<index>_<build>`, and the alias `NAME` is the live one; the API key is
    QDRANT_API_KEY's. With `hnsw` a graph is built (for more than some megabytes of vectors; fewer are scanned) and
    searched `ef_search` wide or as wide as documents are asked for, else search is exact. A build with changes is
    loaded anew, since a server copies no collection. Manifest, texts and shards lie in `path`, whose hash is <index>: a
    folder that is moved must be indexed again. Two indexes at one server need two names to have an alias each.

    Without `url` each collection is a folder in `path` (local mode), searched exactly; it holds all in memory and lets
    one process in at a time. Raises `UserError` for a second one, and for a server that is not there or refuses.
    """

    url: str | None = None
    name: str = "hardneg"
    hnsw: bool = True
    ef_search: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.url is not None:
            _check_url(self.url)
        if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}", self.name):
            raise ConfigError(f"index.name={self.name!r} must be up to {LONGEST} letters, digits, _ and -")
        if self.ef_search < 1:
            raise ConfigError(f"index.ef_search={self.ef_search} must be 1 or more")

    @property
    def incremental(self) -> bool:
        """A folder is copied, a collection at a server is not: it is filled from the vectors that are there."""
        return self.url is None

    def check(self) -> None:
        """Raise `UserError` where the client is not installed or the server lets no collection be made.

        Taking an alias away that is not there changes nothing, and needs the rights that a build will need.
        """
        models = _client_library().models
        if self.url is not None:
            nobody = models.DeleteAlias(alias_name=f"{self.name}_{uuid.uuid4().hex}")
            self._alias([models.DeleteAliasOperation(delete_alias=nobody)])

    def create(self, folder: Path, dim: int, documents: int) -> QdrantVectors:
        """Make the collection, unless a killed build left it."""
        models = _client_library().models
        client, collection = self._connect(folder)
        if not self._exists(client, collection):
            params = models.VectorParams(size=dim, distance=models.Distance.DOT)
            graph = None if self.hnsw else models.HnswConfigDiff(m=0)  # none is built where none is walked
            with self.saying():
                client.create_collection(collection, vectors_config=params, hnsw_config=graph)
        folder.mkdir(parents=True, exist_ok=True)
        return QdrantVectors(client, collection, self)

    def open(self, folder: Path) -> QdrantVectors:
        """Connect to the build's collection."""
        client, collection = self._connect(folder)
        if not self._exists(client, collection):
            client.close()
            raise UserError(f"the collection {collection} is not there; index again with rebuild=true")
        return QdrantVectors(client, collection, self)

    def switch(self, folder: Path) -> None:
        """Have the alias name this build: in one request, so that it is never without a collection."""
        if self.url is not None:
            models = _client_library().models
            live = models.CreateAlias(collection_name=self.place(self.name, folder), alias_name=self.name)
            before = models.DeleteAlias(alias_name=self.name)
            self._alias(
                [models.DeleteAliasOperation(delete_alias=before), models.CreateAliasOperation(create_alias=live)]
            )

    def drop(self, folder: Path) -> None:
        """Delete the collection; an alias of it goes with it."""
        if self.url is not None:
            client, collection = self._connect(folder)
            with self.saying():
                client.delete_collection(collection)
            client.close()
        super().drop(folder)

    def identity(self) -> dict[str, Any]:
        """In local mode none of the settings for a server decides anything."""
        node = super().identity()
        return node if self.url is not None else {"_target_": node["_target_"]}

    def _alias(self, operations: list[Any]) -> None:
        client, _ = self._connect(Path(self.path))
        with self.saying():
            client.update_collection_aliases(operations)
        client.close()

    def _exists(self, client: Any, collection: str) -> bool:
        with self.saying():
            return bool(client.collection_exists(collection))

    def _connect(self, folder: Path) -> tuple[Any, str]:
        """A client, and the name of a build's collection."""
        make = _client_library().QdrantClient
        if self.url is not None:
            key = os.environ.get("QDRANT_API_KEY") or None
            client = make(url=self.url, api_key=key, timeout=TIMEOUT, check_compatibility=False)
            return client, self.place(self.name, folder)
        try:
            # Answers may come from any thread of a service; Qdrant's own lock lets one at a time at its storage.
            return make(path=str(folder), force_disable_check_same_thread=True), COLLECTION
        except RuntimeError as error:
            raise UserError(
                f"{folder}: another process has this Qdrant folder open, and local mode lets one in; end it first,"
                " give index.url of a server, or take another index="
            ) from error

    @contextmanager
    def saying(self) -> Iterator[None]:
        """Turn what the client raises into a `UserError` that names the server and the mend."""
        errors = _client_library().http.exceptions
        try:
            yield
        except errors.UnexpectedResponse as error:
            said = f"index.url={self.url}: the server refused ({error.status_code}): {_reason(error)}"
            if error.status_code in (401, 403):
                said += "; set QDRANT_API_KEY to a key that may create, change and delete collections"
            raise UserError(said) from error
        except errors.ApiException as error:
            source = getattr(error, "source", error)
            raise UserError(f"index.url={self.url}: {source}; a Qdrant server must answer there") from error


class QdrantVectors(Vectors):
    """An open collection."""

    def __init__(self, client: Any, collection: str, recipe: Qdrant) -> None:
        self.client, self.collection, self.recipe = client, collection, recipe
        self.models = _client_library().models
        # Local mode is exact whatever it is asked for, and warns of it.
        params = self.models.SearchParams(exact=not recipe.hnsw, hnsw_ef=recipe.ef_search)
        self.asked = None if recipe.url is None else params

    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Write points."""
        for start in range(0, len(ids), BATCH):
            points = [
                self.models.PointStruct(id=_point(name), vector=vector.tolist(), payload={"id": name})
                for name, vector in zip(ids[start : start + BATCH], vectors[start : start + BATCH], strict=True)
            ]
            with self.recipe.saying():
                self.client.upsert(self.collection, points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points."""
        if ids:
            points = self.models.PointIdsList(points=[_point(name) for name in ids])
            with self.recipe.saying():
                self.client.delete(self.collection, points, wait=True)

    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Ask for all queries at once."""
        asked = [
            self.models.QueryRequest(query=query.tolist(), limit=k, with_payload=True, params=self.asked)
            for query in queries
        ]
        with self.recipe.saying():
            answers = self.client.query_batch_points(self.collection, asked) if asked else []
        return [[(point.payload["id"], float(point.score)) for point in answer.points] for answer in answers]

    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Read points."""
        points = [_point(name) for name in ids]
        with self.recipe.saying():
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
        with self.recipe.saying():
            return int(self.client.count(self.collection).count)

    def save(self) -> None:
        """Wait until the graph is built: until then what is not in it is scanned, and would be measured as exact."""
        status, woken, said = self.models.CollectionStatus, False, False
        while (info := self._info()).status != status.GREEN:
            if info.status == status.RED:
                raise UserError(f"the collection {self.collection} cannot be finished: {info.optimizer_status}")
            if info.status == status.GREY and not woken:
                # A server that was restarted waits for a change before it goes on with a graph: one without effect.
                woken = True
                with self.recipe.saying():
                    self.client.update_collection(self.collection, optimizers_config=self.models.OptimizersConfigDiff())
            if not said:
                said = True
                log.info("%s: waiting for the server to finish the graph", self.collection)
            time.sleep(PAUSE)

    def _info(self) -> Any:
        with self.recipe.saying():
            return self.client.get_collection(self.collection)

    def close(self) -> None:
        """Release the folder, or disconnect."""
        self.client.close()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:  # not shown again: it may hold a key
        raise ConfigError(
            "index.url holds more than http(s)://HOST:PORT, and would be written down with the key in it; set"
            " QDRANT_API_KEY instead"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"index.url={url!r} must be http://HOST:PORT or https://HOST:PORT")


def _reason(error: Any) -> str:
    """What the server says, which is JSON from Qdrant itself and anything from what stands before it."""
    try:
        return str(error.structured()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return error.content.decode(errors="replace")[:200].strip() or error.reason_phrase


def _point(name: str) -> str:
    """Qdrant names points by numbers or UUIDs: the one that this id always has."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def _client_library() -> Any:
    try:
        import qdrant_client
        import qdrant_client.http.exceptions
    except ImportError as error:
        raise UserError("index=qdrant needs its client: pip install 'hardneg[qdrant]'") from error
    warnings.filterwarnings("ignore", message="Local mode is not recommended.*")
    return qdrant_client
