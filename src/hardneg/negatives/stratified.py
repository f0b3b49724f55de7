"""Strata: choosing candidates so that their scores cover the range, and not only its crowded parts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int

BINS = 10  # that single draws are balanced over, as TAS-B's loader has them


def stratified(scores: Float32[np.ndarray, " n"], k: int, rng: np.random.Generator) -> Int[np.ndarray, " m"]:
    """Choose `k` places (all, where there are no more): one from each of `k` equal score ranges, and so on in turn.

    Lists to distil must cover the range of the teacher's scores: the top K alone hides the order that it sees ("Beyond
    Hard Negatives", arXiv:2604.04734). The ranges are equal and not quantiles, as the bins of TAS-B's balanced margins
    are (arXiv:2104.06967): most of a list scores about the same, so that quantiles would crowd there as a uniform draw
    does, and the few that the teacher finds nearly relevant would seldom be seen. The slots of empty ranges go to
    further candidates of the others, in turn. Within a range the draw is uniform. What has no score comes last.

    One candidate has no range to cover: with `k` of 1 the draws are balanced from step to step, each from one of ten
    ranges, of which those that hold candidates come equally often.
    """
    order = rng.permutation(len(scores))
    if k == 1:
        strata = _strata(scores[order], BINS)
        held = np.unique(strata[strata >= 0])
        return order[strata == rng.choice(held)][:1] if len(held) else order[:1]
    strata = _strata(scores[order], k)
    return order[np.lexsort((_earlier(strata), strata < 0))[:k]]


def _strata(scores: Float32[np.ndarray, " n"], k: int) -> Int[np.ndarray, " n"]:
    """Number the range that each score lies in, from 0; -1 where there is no score."""
    strata = np.full(len(scores), -1)
    known = np.isfinite(scores)
    if known.any():
        low, high = float(scores[known].min()), float(scores[known].max())
        share = (scores[known].astype(np.float64) - low) / ((high - low) or 1.0)
        strata[known] = np.minimum((share * k).astype(int), k - 1)
    return strata


def _earlier(strata: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Count the earlier places of the same stratum."""
    order = np.argsort(strata, kind="stable")
    ranked = strata[order]
    earlier = np.empty(len(strata), int)
    earlier[order] = np.arange(len(strata)) - np.searchsorted(ranked, ranked)
    return earlier
