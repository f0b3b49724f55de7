"""The recall of an index: what share of the results of exact search it finds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute
import torch
from jaxtyping import Float32

from hardneg.retrieval.exact_search import exact
from hardneg.serving.backends.base import Vectors
from hardneg.serving.shards import Shard

PROBES, NEAREST = 64, 10  # documents asked for, and how many of their nearest are looked for


def recall(vectors: Vectors, shards: list[Shard]) -> float:
    """Search for an even sample of the documents: the share of their nearest by exact search that is found.

    Ties count as found: only the scores are compared.
    """
    asked = even_sample(shards, PROBES)
    k = min(NEAREST, sum(map(len, shards)))
    blocks: Iterator[torch.Tensor] = (torch.from_numpy(np.array(shard.vectors)) for shard in shards)
    best = exact(torch.from_numpy(asked), blocks, k)[0].numpy()
    lowest = best[:, -1] - 1e-4 * np.maximum(np.abs(best[:, 0]), 1e-6)
    names = [[name for name, _ in answer] for answer in vectors.search(asked, k)]
    held = _vectors_of(shards, {name for row in names for name in row})
    rows = zip(asked, names, lowest, strict=True)
    hits = sum(float(query @ held[name]) >= least for query, found, least in rows for name in found)
    return round(hits / (len(asked) * k), 4)


def even_sample(shards: list[Shard], most: int) -> Float32[np.ndarray, "S D"]:
    """Take at most a given number of vectors, evenly from all shards."""
    step = -(-sum(map(len, shards)) // most)
    parts, offset = [], 0
    for shard in shards:
        parts.append(np.array(shard.vectors[-offset % step :: step]))
        offset += len(shard)
    return np.concatenate(parts)


def _vectors_of(shards: list[Shard], wanted: set[str]) -> dict[str, np.ndarray]:
    asked, found = pa.array(list(wanted), pa.large_string()), dict[str, np.ndarray]()
    for shard in shards:
        ids = shard.documents.texts.ids
        rows = np.flatnonzero(pa.compute.is_in(ids, value_set=asked))
        found |= zip(ids.take(rows).to_pylist(), shard.vectors[rows], strict=True)
    return found
