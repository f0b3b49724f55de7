"""What a backend holds compared with what was embedded: no model is needed, so all of it can be checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from hardneg.serving.backends.base import Vectors
from hardneg.serving.builds import Build
from hardneg.serving.shards import Shard

SAME = 1e-5  # relative to a vector's length; databases keep float32 exactly
BLOCK = 4096  # vectors fetched at a time


@dataclass(frozen=True)
class Compared:
    """How many vectors of a shard were compared, and how many differ in the backend or are missing there."""

    shard: Shard
    looked: int
    other: int


def compare(build: Build, vectors: Vectors, sample: int | None) -> Iterator[Compared]:
    """Fetch `sample` vectors of every shard, another sample every time (null: all), and compare them with the shard's.

    For backends that are lossless.
    """
    rng = np.random.default_rng()
    shards = build.shards
    chosen = [np.sort(rng.permutation(len(shard))[:sample]) for shard in shards]
    names = [shard.documents.texts.ids.take(rows).to_pylist() for shard, rows in zip(shards, chosen, strict=True)]
    ends = np.cumsum([len(rows) for rows in chosen])
    # A few vectors of many shards are fetched in one go: a server would feel a request for each shard.
    first = 0
    while first < len(shards):
        start = ends[first] - len(chosen[first])
        last = max(int(np.searchsorted(ends, start + BLOCK, side="right")), first + 1)
        held = vectors.fetch([name for part in names[first:last] for name in part])
        for number, found in enumerate(np.split(held, ends[first : last - 1] - start), start=first):
            other = differ(found, shards[number].vectors[chosen[number]])
            yield Compared(shards[number], len(found), int(other.sum()))
        first = last


def differ(held: Float32[np.ndarray, "N D"], embedded: Float32[np.ndarray, "N D"]) -> Bool[np.ndarray, " N"]:
    """Which rows differ; a row of NaN, which stands for a missing vector, always does."""
    lengths = np.maximum(np.linalg.norm(embedded, axis=1), 1e-6)
    return ~(np.abs(held - embedded).max(axis=1) <= SAME * lengths)
