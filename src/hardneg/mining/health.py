"""The outcome of a mining round in numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from hardneg.data.ragged import Ragged
from hardneg.mining.known_positives_found import found_of
from hardneg.mining.store import KEPT, RELABELLED, Store

BLOCK = 4096  # queries at a time: bounds memory


def health(
    store: Store,
    k: int,
    pool: int,
    previous: Store | None = None,
    known: Ragged | None = None,
    depth: int | None = None,
) -> dict[str, float]:
    """Describe the lists of a store from which `k` of the first `pool` kept documents are drawn.

    kept: the share of the examined documents that the filters have kept; it says nothing about how well the miner
    ranks, and rises to 1 for one that finds no relevant document. recall: the share of the `known` positives that the
    miner has among its first `depth` documents, before the filters drop them (of a query with more, at most `depth`
    count); only where they are given. nothing_found: share of the training queries for which the miner found no
    document. queries_short: share of those with fewer than `k` kept, them included. backfill: share of the pool that
    came from ranks below it, because filters had dropped what stood above. above_positive: share of the pool that the
    miner scores above the query's lowest known positive (an upper bound on what is false, plus the miner's errors).
    overlap: share of the pool that was in the previous round's. relabelled: share of the examined that the teacher
    found relevant, where it was asked. seconds: what this run spent on mining, 0 where it found the lists in the cache;
    documents_per_second: of the pool, when they were mined.
    """
    found = wanted = some = examined = kept = enough = back = above = pooled = common = before = 0
    for start in range(0, len(store.ids), BLOCK):
        rows = slice(start, start + BLOCK)
        there = store.ids[rows] >= 0
        some += there.any(axis=1).sum()
        if known is not None:
            queries = np.flatnonzero(known.counts[rows]) + start
            of_block = found_of(store.ids[queries], known, queries, depth or store.ids.shape[1])
            found, wanted = found + of_block[0].sum(), wanted + of_block[1].sum()
        keeps = there & (store.reasons[rows] == KEPT)
        drawn = drawable(keeps, pool)
        examined, kept = examined + there.sum(), kept + keeps.sum()
        enough += (keeps.sum(axis=1) >= k).sum()
        pooled += drawn.sum()
        back += drawn[:, pool:].sum()
        above += (drawn & (store.scores[rows] > store.positive[rows, None])).sum()
        if previous is not None:
            old = pool_of(previous, rows, pool)
            common += _common(store.ids[rows], drawn, previous.ids[rows], old)
            before += min(int(drawn.sum()), int(old.sum()))
    seconds = store.card["seconds"]
    out = {
        "kept": kept / max(examined, 1),
        "nothing_found": 1 - some / store.card["queries"],
        "queries_short": 1 - enough / store.card["queries"],
        "backfill": back / max(pooled, 1),
        "above_positive": above / max(pooled, 1),
        "seconds": seconds if store.new else 0.0,
        "documents_per_second": store.card["documents"] / max(seconds, 1e-9),
    }
    if wanted:
        out["recall"] = found / wanted
    if RELABELLED in store.card["reasons"]:
        out["relabelled"] = dropped(store)[RELABELLED] / max(examined, 1)
    if previous is not None:
        out["overlap"] = common / max(before, 1)
    return {key: float(value) for key, value in out.items()}


def pool_of(store: Store, rows: slice, pool: int) -> Bool[np.ndarray, "q K"]:
    """Mark the first `pool` kept documents of these queries."""
    return drawable((store.ids[rows] >= 0) & (store.reasons[rows] == KEPT), pool)


def drawable(keeps: Bool[np.ndarray, "q K"], pool: int) -> Bool[np.ndarray, "q K"]:
    """Mark the first `pool` of the kept documents of each query, from which negatives are drawn."""
    return keeps & (keeps.cumsum(axis=1) <= pool)


def _common(ids: np.ndarray, drawn: np.ndarray, other: np.ndarray, chosen: np.ndarray) -> int:
    """Count the (query, document) pairs in both."""
    width = int(max(ids.max(initial=0), other.max(initial=0))) + 1
    one = (np.arange(len(ids))[:, None] * width + ids)[drawn]
    two = (np.arange(len(other))[:, None] * width + other)[chosen]
    return int(np.isin(one, two, assume_unique=True).sum())


def dropped(store: Store) -> dict[str, int]:
    """Count the mined documents by their fate: "kept", or the name of the filter that dropped them first."""
    counts = np.zeros(len(store.card["reasons"]), np.int64)
    for start in range(0, len(store.ids), BLOCK):
        rows = slice(start, start + BLOCK)
        counts += np.bincount(store.reasons[rows][store.ids[rows] >= 0], minlength=len(counts))
    return dict(zip(store.card["reasons"], counts.tolist(), strict=True))
