"""The index of BM25: bm25s's scores of every word in every document, made block by block in flat arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int32, Int64


@dataclass(frozen=True, eq=False)
class BM25Index:
    """Word by word, the documents that have it (ascending) and what it adds to their scores (CSC, as bm25s keeps it).

    Word `w` stands in `docs[starts[w]:starts[w + 1]]`; `size` documents are indexed, `mean_length` words long.
    """

    scores: Float32[np.ndarray, " postings"]
    docs: Int32[np.ndarray, " postings"]
    starts: Int64[np.ndarray, " words_plus_1"]
    size: int
    mean_length: float

    def with_words(self, words: int) -> BM25Index:
        """Return the same for queries with any of this many words, also those that no document here has."""
        return replace(self, starts=np.pad(self.starts, (0, max(words + 1 - len(self.starts), 0)), mode="edge"))


@dataclass(frozen=True, eq=False)
class _Counted:
    """How often words occur in a block of documents: one entry per word and document."""

    words: Int32[np.ndarray, " n"]
    times: np.ndarray
    lengths: Int64[np.ndarray, " docs"]
    different: Int64[np.ndarray, " docs"]


def build_index(blocks: Iterable[list[list[int]]], k1: float, b: float, like: BM25Index | None = None) -> BM25Index:
    """Index blocks of tokenised documents with the numbers of bm25s (its `lucene` method, in float32), to the last bit.

    bm25s holds a Python list a document and sorts all entries at once, 28 GB for MS MARCO's passages; this needs 13 to
    16 bytes an entry (a word of a document), and ends with 8.

    How rare words and how long documents are is counted in these documents, or is as in the index `like`: then scores
    of both can be compared.
    """
    counted = [_count(block) for block in blocks]
    size = sum(len(block.lengths) for block in counted)
    mean = np.concatenate([block.lengths for block in counted]).mean() if size else 0.0
    frequencies = np.zeros(1 + max((int(block.words.max(initial=0)) for block in counted), default=0), np.int64)
    for block in counted:
        frequencies += np.bincount(block.words, minlength=len(frequencies))
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(frequencies)])
    scores, docs = np.empty(starts[-1], np.float32), np.empty(starts[-1], np.int32)
    if like is None:
        rarity = _idf(frequencies, size)
    else:
        rarity, mean = _idf(np.diff(like.with_words(len(frequencies)).starts), like.size), like.mean_length
    free, first = starts[:-1].copy(), 0
    for number, block in enumerate(counted):
        lengths = np.repeat(block.lengths, block.different)
        times = block.times.astype(np.float64)
        found = (rarity[block.words] * (times / (k1 * ((1 - b) + b * lengths / mean) + times))).astype(np.float32)
        order = np.argsort(block.words, kind="stable")
        words = block.words[order]
        there = np.bincount(words, minlength=len(free))
        place = (free - np.cumsum(there) + there)[words] + np.arange(len(words))
        scores[place] = found[order]
        docs[place] = np.repeat(np.arange(first, first + len(block.lengths), dtype=np.int32), block.different)[order]
        free += there
        first += len(block.lengths)
        counted[number] = _EMPTY  # its memory is no longer needed
    return BM25Index(scores, docs, starts, size, mean)


def _count(block: list[list[int]]) -> _Counted:
    lengths = np.fromiter(map(len, block), np.int64, len(block))
    flat = np.fromiter((word for words in block for word in words), np.int64, int(lengths.sum()))
    entries, times = np.unique(np.repeat(np.arange(len(block)), lengths) << 32 | flat, return_counts=True)
    smallest = times.astype(np.min_scalar_type(int(times.max(initial=0))))
    words = (entries & 0xFFFFFFFF).astype(np.int32)
    return _Counted(words, smallest, lengths, np.bincount(entries >> 32, minlength=len(block)))


def _idf(frequencies: Int64[np.ndarray, " words"], size: int) -> Float32[np.ndarray, " words"]:
    """The inverse document frequency of words, in Lucene's variant."""
    return np.array([math.log(1 + (size - n + 0.5) / (n + 0.5)) for n in frequencies.tolist()], np.float32)


_NONE: Int64[np.ndarray, " 0"] = np.empty(0, np.int64)
_EMPTY = _Counted(_NONE.astype(np.int32), _NONE, _NONE, _NONE)
