"""Which texts of a column are equal, found without copying it: by hashes, and a comparison of texts that share one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Int32, Int64

BLOCK = 65_536  # texts held as Python strings at a time


def equal_texts(texts: pa.LargeStringArray) -> Int32[np.ndarray, " n"]:
    """Number the texts so that equal ones (surrounding blanks aside) have equal numbers, in order of appearance."""
    hashes = np.empty(len(texts), np.int64)
    for start in range(0, len(texts), BLOCK):
        block = texts.slice(start, BLOCK).to_pylist()
        hashes[start : start + len(block)] = [hash(text.strip()) for text in block]
    return by_appearance(_told_apart(hashes, texts))


def by_appearance(labels: Int64[np.ndarray, " n"]) -> Int32[np.ndarray, " n"]:
    """Number labels from 0 in the order in which they first appear."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int32)
    number[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return number[place]


def _told_apart(hashes: Int64[np.ndarray, " n"], texts: pa.LargeStringArray) -> Int64[np.ndarray, " n"]:
    """Return the hashes, unless texts share one by chance: only those with equal hashes are compared."""
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    for start in range(0, len(again), BLOCK):
        rows = (order[again[start : start + BLOCK] + step] for step in (0, 1))
        one, other = (texts.take(pa.array(some)).to_pylist() for some in rows)
        if any(a.strip() != b.strip() for a, b in zip(one, other, strict=True)):
            stripped = pa.compute.utf8_trim_whitespace(texts)  # once in 10^19 pairs of texts, so a simple way will do
            return stripped.dictionary_encode().indices.to_numpy().astype(np.int64)
    return hashes
