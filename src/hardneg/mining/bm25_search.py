"""What BM25 finds for queries: one pass over the words' documents, on all cores, for hits and positives together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from hardneg.mining.base import Hits
from hardneg.mining.bm25_index import BM25Index
from hardneg.system.counts_in_words import counted

log = logging.getLogger(__name__)

COMPILED_FROM = 50_000  # documents: with fewer, NumPy is done before Numba's code would be loaded
CHUNK = 32  # queries that a thread takes at a time

# Fills the rows of documents and scores with the best, in any order, and those of the positives; rows hold -1, -inf
# and NaN before: (index, words of all queries, where each query's begin, positives, documents, scores, of positives).
Engine = Callable[
    [BM25Index, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    None,
]


def engine_for(size: int) -> Engine:
    """Choose what searches this many documents, compiled by Numba if that is installed; say so where it matters."""
    if size < COMPILED_FROM:
        return by_numpy
    threads = torch.get_num_threads()
    try:
        from hardneg.mining.bm25_numba import by_numba
    except ImportError as problem:
        log.info(
            "BM25 searches %s with NumPy (engine=numpy, %s): %s; pip install 'hardneg[bm25]' is"
            " several times faster and finds the same",
            *(counted(size, "document"), counted(threads, "thread"), problem),
        )
        return by_numpy
    log.info(
        "BM25 searches %s with compiled code (engine=numba, %s)", counted(size, "document"), counted(threads, "thread")
    )
    return by_numba


def find(
    index: BM25Index, queries: list[list[int]], positives: Int32[np.ndarray, "Q P"], k: int, engine: Engine
) -> Hits:
    """Return the k best documents of each query, and the scores of its positives (-1: none, whose score is NaN).

    Documents that share no word with the query are not found. Equal scores are in the order of the documents. Every
    engine adds what words score in the order of the query's words, so that hits do not depend on it or on threads.
    """
    ids = np.full((len(queries), k), -1, np.int32)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    of_positives = np.full(positives.shape, np.nan, np.float32)

    def search(start: int) -> None:
        rows = slice(start, start + CHUNK)
        asked = queries[rows]
        begins = np.cumsum([0, *map(len, asked)], dtype=np.int64)
        words = np.fromiter((word for query in asked for word in query), np.int64, int(begins[-1]))
        engine(index, words, begins, positives[rows], ids[rows], scores[rows], of_positives[rows])

    pool = ThreadPoolExecutor(torch.get_num_threads(), "bm25")
    try:
        for _ in pool.map(search, range(0, len(queries), CHUNK)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption waits for one chunk of each thread only
    order = np.lexsort((ids, -scores), axis=-1)
    return Hits(np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1), of_positives)


def by_numpy(
    index: BM25Index,
    words: Int64[np.ndarray, " words"],
    begins: Int64[np.ndarray, " q_plus_1"],
    positives: Int32[np.ndarray, "q P"],
    ids: Int32[np.ndarray, "q K"],
    scores: Float32[np.ndarray, "q K"],
    of_positives: Float32[np.ndarray, "q P"],
) -> None:
    """Search with NumPy, which lets other threads work meanwhile."""
    k = min(ids.shape[1], index.size)
    if not k:
        return
    groups = min(8 * k, index.size)
    total = np.empty(-(-index.size // groups) * groups, np.float32)
    for row in range(len(ids)):
        total[:] = 0
        for word in words[begins[row] : begins[row + 1]].tolist():
            here = slice(index.starts[word], index.starts[word + 1])
            total[index.docs[here]] += index.scores[here]  # each document is in it once
        known = positives[row] >= 0
        of_positives[row, known] = total[positives[row, known]]
        best = _best(total, groups, k)
        ids[row, : len(best)], scores[row, : len(best)] = best, total[best]


def _best(total: Float32[np.ndarray, " n"], groups: int, k: int) -> Int64[np.ndarray, " m"]:
    """Find the k largest above 0, the first of equal ones.

    The k-th largest of the maxima of groups is no more than the k-th largest of all: few are above it, which are found
    in a sixth of the time of a partition of all.
    """
    maxima = total.reshape(-1, groups).max(axis=0)
    least = np.partition(maxima, groups - k)[groups - k]
    some = np.flatnonzero(total >= least) if least > 0 else np.flatnonzero(total)
    return some[np.argsort(-total[some], kind="stable")[:k]]
