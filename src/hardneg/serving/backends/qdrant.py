"""Qdrant, in a folder or at a server, through Qdrant's own client (extra hardneg[qdrant])."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hardneg.errors import ConfigError, UserError
from hardneg.serving.backends.base import Backend
from hardneg.serving.backends.qdrant_collection import QdrantVectors, client_library, saying

COLLECTION = "documents"  # in local mode, where each build has a folder
LONGEST = 200  # letters of a name; Qdrant takes 255, and the names of index and build come behind it
TIMEOUT = 60  # seconds a request may take


@dataclass(frozen=True)
class Qdrant(Backend):
    """Qdrant collections; a point's payload holds the document's id.

    With `url` they lie at that server as `NAME_<index>_<build>`, and the alias `NAME` is the live one; the API key is
    QDRANT_API_KEY's. With `hnsw` a graph is built (for more than some megabytes of vectors; fewer are scanned) and
    searched `ef_search` wide or as wide as documents are asked for, else search is exact. A build with changes is
    loaded anew, since a server copies no collection. Manifest, texts and shards lie in `path`, whose hash is <index>: a
    folder that is moved must be indexed again. Two indexes at one server need two names to have an alias each.

    Without `url` each collection is a folder in `path` (local mode), searched exactly; it holds all in memory and lets
    one process in at a time. Raises `UserError` for a second one, and for a server that is not there or refuses;
    `ConfigError` for a name that Qdrant does not take, and an `ef_search` below 1.
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
        """A folder can be copied; a collection at a server cannot, and is filled from the vectors that exist."""
        return self.url is None

    def check(self) -> None:
        """Raise `UserError` where the client is not installed or the server lets no collection be made.

        Deleting an alias that does not exist changes nothing, and needs the rights that a build will need.
        """
        models = client_library().models
        if self.url is not None:
            nobody = models.DeleteAlias(alias_name=f"{self.name}_{uuid.uuid4().hex}")
            self._alias([models.DeleteAliasOperation(delete_alias=nobody)])

    def create(self, folder: Path, dim: int, documents: int) -> QdrantVectors:
        """Make the collection, unless a killed build left it."""
        models = client_library().models
        client, collection = self._connect(folder)
        if not self._exists(client, collection):
            params = models.VectorParams(size=dim, distance=models.Distance.DOT)
            graph = None if self.hnsw else models.HnswConfigDiff(m=0)  # no graph is built where none is searched
            with saying(self.url):
                client.create_collection(collection, vectors_config=params, hnsw_config=graph)
        folder.mkdir(parents=True, exist_ok=True)
        return QdrantVectors(client, collection, self.url, self.hnsw, self.ef_search)

    def open(self, folder: Path) -> QdrantVectors:
        """Connect to the build's collection."""
        client, collection = self._connect(folder)
        if not self._exists(client, collection):
            client.close()
            raise UserError(f"the collection {collection} is not there; index again with rebuild=true")
        return QdrantVectors(client, collection, self.url, self.hnsw, self.ef_search)

    def switch(self, folder: Path) -> None:
        """Point the alias to this build, in one request, so that it always has a collection."""
        if self.url is not None:
            models = client_library().models
            live = models.CreateAlias(collection_name=self.place(self.name, folder), alias_name=self.name)
            before = models.DeleteAlias(alias_name=self.name)
            self._alias(
                [models.DeleteAliasOperation(delete_alias=before), models.CreateAliasOperation(create_alias=live)]
            )

    def drop(self, folder: Path) -> None:
        """Delete the collection; an alias of it goes with it."""
        if self.url is not None:
            client, collection = self._connect(folder)
            with saying(self.url):
                client.delete_collection(collection)
            client.close()
        super().drop(folder)

    def identity(self) -> dict[str, Any]:
        """In local mode the settings for a server do not matter."""
        node = super().identity()
        return node if self.url is not None else {"_target_": node["_target_"]}

    def _alias(self, operations: list[Any]) -> None:
        client, _ = self._connect(Path(self.path))
        with saying(self.url):
            client.update_collection_aliases(operations)
        client.close()

    def _exists(self, client: Any, collection: str) -> bool:
        with saying(self.url):
            return bool(client.collection_exists(collection))

    def _connect(self, folder: Path) -> tuple[Any, str]:
        """A client, and the name of a build's collection."""
        make = client_library().QdrantClient
        if self.url is not None:
            key = os.environ.get("QDRANT_API_KEY") or None
            client = make(url=self.url, api_key=key, timeout=TIMEOUT, check_compatibility=False)
            return client, self.place(self.name, folder)
        try:
            # A service may ask from any thread; Qdrant's own lock lets one at a time into its storage.
            return make(path=str(folder), force_disable_check_same_thread=True), COLLECTION
        except RuntimeError as error:
            raise UserError(
                f"{folder}: another process has this Qdrant folder open, and local mode lets one in; end it first,"
                " give index.url of a server, or take another index="
            ) from error


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:  # not shown again: it may hold a key
        raise ConfigError(
            "index.url holds more than http(s)://HOST:PORT, and would be written down with the key in it; set"
            " QDRANT_API_KEY instead"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"index.url={url!r} must be http://HOST:PORT or https://HOST:PORT")
