"""BM25's search compiled by Numba (`pip install 'hardneg[bm25]'`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float32, Int32, Int64
from numba import njit

from hardneg.mining.bm25_index import BM25Index


def by_numba(
    index: BM25Index,
    words: Int64[np.ndarray, " words"],
    begins: Int64[np.ndarray, " q_plus_1"],
    positives: Int32[np.ndarray, "q P"],
    ids: Int32[np.ndarray, "q K"],
    scores: Float32[np.ndarray, "q K"],
    of_positives: Float32[np.ndarray, "q P"],
) -> None:
    """Search as `by_numpy` does."""
    if index.size and ids.shape[1]:
        _search(index.scores, index.docs, index.starts, index.size, words, begins, positives, ids, scores, of_positives)


def _compiled(function: Callable) -> Any:
    """Have Numba compile a function, and keep the machine code where it has a place for that."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package nor the home folder can be written, as in many containers
        return njit(nogil=True)(function)


# njit compiles the source: no wrapper that checks types may come around it.


@_compiled
@no_type_check
def _search(of_words, docs, starts, size, words, begins, positives, ids, scores, of_positives):  # noqa: ANN001, ANN202
    total = np.zeros(size, np.float32)
    for row in range(len(ids)):
        for i in range(begins[row], begins[row + 1]):
            for j in range(starts[words[i]], starts[words[i] + 1]):
                total[docs[j]] += of_words[j]
        for column in range(positives.shape[1]):
            if positives[row, column] >= 0:
                of_positives[row, column] = total[positives[row, column]]
        _keep_best(total, ids[row], scores[row])
        total[:] = 0


@_compiled
@no_type_check
def _keep_best(total, ids, scores):  # noqa: ANN001, ANN202
    """Keep the best in a heap whose root is the worst of them; equal ones leave it from the end of the documents."""
    count, k = 0, len(ids)
    least = np.float32(0)
    for doc in range(len(total)):
        score = total[doc]
        if score <= least:
            continue
        if count < k:
            _up(ids, scores, count, doc, score)
            count += 1
        else:
            _down(ids, scores, doc, score)
        if count == k:
            least = scores[0]


@_compiled
@no_type_check
def _up(ids, scores, place, doc, score):  # noqa: ANN001, ANN202
    while place > 0:
        above = (place - 1) // 2
        if not _worse(score, doc, scores[above], ids[above]):
            break
        scores[place], ids[place] = scores[above], ids[above]
        place = above
    scores[place], ids[place] = score, doc


@_compiled
@no_type_check
def _down(ids, scores, doc, score):  # noqa: ANN001, ANN202
    place, k = 0, len(ids)
    while 2 * place + 1 < k:
        child = 2 * place + 1
        if child + 1 < k and _worse(scores[child + 1], ids[child + 1], scores[child], ids[child]):
            child += 1
        if not _worse(scores[child], ids[child], score, doc):
            break
        scores[place], ids[place] = scores[child], ids[child]
        place = child
    scores[place], ids[place] = score, doc


@_compiled
@no_type_check
def _worse(score, doc, other, other_doc):  # noqa: ANN001, ANN202
    return score < other or (score == other and doc > other_doc)
