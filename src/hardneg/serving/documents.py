"""What a corpus holds, by content: which texts changed, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from jaxtyping import UInt64

from hardneg.data.tables import Texts

Digests = UInt64[np.ndarray, "N 2"]
BLOCK = 65_536  # texts held as Python strings at a time


def digest(texts: pa.LargeStringArray) -> Digests:
    """Hash each text to 128 bits."""
    out = np.empty((len(texts), 2), np.uint64)
    for start in range(0, len(texts), BLOCK):
        block = texts.slice(start, BLOCK).to_pylist()
        hashed = b"".join(blake2b(text.encode(), digest_size=16).digest() for text in block)
        out[start : start + len(block)] = np.frombuffer(hashed, "<u8").reshape(-1, 2)
    return out


@dataclass(frozen=True, eq=False)
class Documents:
    """Ids, texts and the hash of each text."""

    texts: Texts
    digests: Digests

    @classmethod
    def of(cls, texts: Texts) -> Documents:
        """Hash the texts."""
        return cls(texts, digest(texts.texts))

    @classmethod
    def joined(cls, parts: Sequence[Documents]) -> Documents:
        """Concatenate the parts."""
        ids, texts = (
            pa.concat_arrays([*columns, pa.array([], pa.large_string())])
            for columns in ([part.texts.ids for part in parts], [part.texts.texts for part in parts])
        )
        return cls(Texts(ids, texts), np.concatenate([*(part.digests for part in parts), np.empty((0, 2), np.uint64)]))

    def __len__(self) -> int:
        return len(self.texts)

    def slice(self, rows: range) -> Documents:
        """Return these contiguous rows."""
        return Documents(self.texts.slice(rows), self.digests[rows.start : rows.stop])

    @cached_property
    def hash(self) -> str:
        """Hash ids and texts in their order."""
        hashed = blake2b(digest_size=16)
        for start in range(0, len(self), BLOCK):
            for name in self.texts.ids.slice(start, BLOCK).to_pylist():
                encoded = name.encode()
                hashed.update(len(encoded).to_bytes(8, "little") + encoded)
        hashed.update(np.ascontiguousarray(self.digests).tobytes())
        return hashed.hexdigest()

    def against(self, other: Documents) -> CorpusDifference:
        """Compare by id and text: what `other` lacks, has with another text, and has in addition."""
        places = other.texts.find(self.texts.ids)
        here = np.flatnonzero(places >= 0)
        there = places[here]
        changed = here[(self.digests[here] != other.digests[there]).any(axis=1)]
        missing = np.delete(np.arange(len(self)), here)
        extra = np.delete(np.arange(len(other)), there)
        return CorpusDifference(missing, changed, extra)


@dataclass(frozen=True)
class CorpusDifference:
    """Rows of a corpus that another one lacks or has with another text, and rows that only the other has."""

    missing: np.ndarray
    changed: np.ndarray
    extra: np.ndarray

    @property
    def fresh(self) -> np.ndarray:
        """The rows that the other one needs: missing or changed."""
        return np.union1d(self.missing, self.changed)

    def __bool__(self) -> bool:
        return bool(len(self.missing) or len(self.changed) or len(self.extra))

    def __str__(self) -> str:
        return f"{len(self.missing):,} missing, {len(self.changed):,} changed, {len(self.extra):,} deleted"
