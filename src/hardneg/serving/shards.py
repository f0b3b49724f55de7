"""Shards: the vectors and texts of some thousand documents, in a folder that never changes once it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from hardneg.data.tables import Texts
from hardneg.serving.documents import Documents

VECTORS, DIGESTS, TABLE, CARD = "vectors.npy", "digests.npy", "documents.arrow", "card.json"


class Shard:
    """A folder with `vectors.npy` (N, D) float32, `digests.npy` (N, 2), `documents.arrow` (id, text), `card.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name

    @cached_property
    def card(self) -> dict[str, Any]:
        """The count, and the hash of the files."""
        return json.loads((self.folder / CARD).read_text(encoding="utf-8"))

    def __len__(self) -> int:
        return int(self.card["count"])

    @property
    def vectors(self) -> Float32[np.ndarray, "N D"]:
        """The embeddings, memory-mapped."""
        return np.load(self.folder / VECTORS, mmap_mode="r").view(np.ndarray)

    @property
    def documents(self) -> Documents:
        """Ids, texts and hashes, memory-mapped."""
        with pa.memory_map(str(self.folder / TABLE)) as source:
            table = pa.ipc.open_file(source).read_all().combine_chunks()
        ids, texts = (column.chunk(0) for column in table.columns)
        return Documents(Texts(ids, texts), np.load(self.folder / DIGESTS))

    def file_hash(self) -> str:
        """Hash the files as they are now."""
        digest = blake2b(digest_size=16)
        for name in (VECTORS, DIGESTS, TABLE):
            digest.update(f"{name};".encode())
            with (self.folder / name).open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


def write_shard(folder: Path, documents: Documents, vectors: Float32[np.ndarray, "N D"]) -> None:
    """Fill a folder (which `built_once` makes durable and names)."""
    np.save(folder / VECTORS, vectors)
    np.save(folder / DIGESTS, documents.digests)
    table = pa.table({"id": documents.texts.ids, "text": documents.texts.texts})
    with pa.OSFile(str(folder / TABLE), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    card = {"count": len(documents), "hash": Shard(folder).file_hash()}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")


class Known:
    """Vectors of texts that were embedded before, found by the hash of the text; memory holds the hashes only."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = shards
        counts = [len(shard) for shard in shards]
        digests = [np.load(shard.folder / DIGESTS) for shard in shards]
        everything = np.concatenate([*digests, np.empty((0, 2), np.uint64)])
        self._order = np.argsort(everything[:, 0], kind="stable")
        self._digests = everything[self._order]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def find(self, digests: np.ndarray) -> np.ndarray:
        """Return the place of each text, -1 for an unknown one."""
        if not len(self._digests):
            return np.full(len(digests), -1)
        places = np.minimum(np.searchsorted(self._digests[:, 0], digests[:, 0]), len(self._digests) - 1)
        # If the first halves of two hashes collide, one text is embedded again: safe, and rarer than one in a billion.
        return np.where((self._digests[places] == digests).all(axis=1), self._order[places], -1)

    def take(self, places: np.ndarray, dim: int) -> Float32[np.ndarray, "N D"]:
        """Read the vectors at these places, which `find` returned."""
        out = np.empty((len(places), dim), np.float32)
        owner = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(owner):
            here = np.flatnonzero(owner == number)
            out[here] = self.shards[number].vectors[places[here] - self._starts[number]]
        return out
