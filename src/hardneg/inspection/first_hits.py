"""What BM25 finds: for how many queries a positive, and unlabelled documents much like a positive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from hardneg.data.ragged import Ragged
from hardneg.data.tables import RetrievalData, Texts
from hardneg.inspection.labels import in_order
from hardneg.inspection.texts import EXAMPLES, Alike
from hardneg.mining.base import Ranker, Task
from hardneg.mining.bm25 import BM25
from hardneg.mining.bm25_tokens import resolved, splitter
from hardneg.system.progress import progress

DEPTHS = (10, 100)
BLOCK = 64  # queries ranked at a time
NEAR_QUERY, NEAR_POSITIVE = 20, 10  # how many of the first hits are compared with a positive
ALIKE = 0.7  # share of common word pairs (Jaccard) above which two documents count as near copies
WORDS = 100  # of a positive that are used as a query
PAIRS = 500  # queries with a positive that are compared


@dataclass(frozen=True)
class Looked:
    """The queries that were looked at, by split and together (rows), their BM25 hits, and the documents ranked."""

    by_split: dict[str, Int32[np.ndarray, " n"]]
    queries: Int32[np.ndarray, " Q"]
    hits: Int32[np.ndarray, "Q K"]
    pool: Int32[np.ndarray, " N"]
    near: dict[tuple[int, int], Int32[np.ndarray, " k"]]


def first_hits(data: RetrievalData, alike: Alike, queries: int, documents: int) -> dict[str, Any]:
    """Rank a limited number of queries of each split among a limited number of documents, the same ones each time.

    Where not all documents are ranked, all that are relevant to these queries are, and others drawn evenly: positives
    are then found more easily than among all. A query's own document is left out.
    """
    by_split = {name: _some(data.qrels[name].query_rows, queries) for name in in_order(data)}
    asked = np.unique(np.concatenate([np.empty(0, np.int32), *by_split.values()]))
    relevant = _relevant(data, list(data.qrels))
    wanted = np.unique(np.concatenate([np.empty(0, np.int32), *(relevant[int(row)] for row in asked)]))
    pool = _pool(data, wanted, documents)
    pairs = _pairs(asked, relevant)
    looked = _rank(data, by_split, asked, pool, pairs)
    return {
        "bm25": {
            "documents": len(pool),
            "of": len(data.corpus),
            "splits": {name: _found(data, name, looked) for name in by_split},
        },
        "near_copies": _near_copies(data, looked, alike.docs),
    }


def _some(rows: np.ndarray, most: int) -> Int32[np.ndarray, " n"]:
    return np.sort(np.random.default_rng(0).permutation(rows)[:most]).astype(np.int32)


def _relevant(data: RetrievalData, names: list[str], judged: bool = False) -> Ragged:
    """The documents that these splits label relevant to each query, or with `judged` all that they judge."""
    parts = [data.qrels[name] if judged else data.qrels[name].relevant for name in names]
    none = np.empty(0, np.int32)
    rows, docs = (np.concatenate([none, *(getattr(part, key) for part in parts)]) for key in ("queries", "docs"))
    return Ragged.of(rows, docs, len(data.queries))


def _pool(data: RetrievalData, wanted: np.ndarray, most: int) -> Int32[np.ndarray, " N"]:
    everything = np.arange(len(data.corpus), dtype=np.int32)
    if len(everything) <= most:
        return everything
    others = np.random.default_rng(0).permutation(np.delete(everything, wanted))
    return np.union1d(wanted, others[: max(most - len(wanted), 0)]).astype(np.int32)


def _pairs(asked: np.ndarray, relevant: Ragged) -> list[tuple[int, int]]:
    """A query and one of its positives, for at most `PAIRS` of the queries."""
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(asked)[:PAIRS])
    return [(int(query), int(rng.choice(relevant[int(query)]))) for query in some]


def _rank(
    data: RetrievalData,
    by_split: dict[str, np.ndarray],
    asked: np.ndarray,
    pool: np.ndarray,
    pairs: list[tuple[int, int]],
) -> Looked:
    """Ask BM25 with the queries and with some of their positives, set by set."""
    hits = np.full((len(asked), max(DEPTHS)), -1, np.int32)
    near: dict[tuple[int, int], np.ndarray] = {}
    with progress(len(asked) + len(pairs), "BM25", "queries") as bar:
        for part, here in data.by_part(asked):
            rows = asked[here]
            own = [pair for pair in pairs if pair[0] in part.queries]
            inside = pool[(pool >= part.docs.start) & (pool < part.docs.stop)]
            likes = [" ".join(text.split()[:WORDS]) for text in data.corpus.take([doc for _, doc in own])]
            texts = [*data.queries.take(rows), *likes]
            table = Texts.of([str(row) for row in range(len(texts))], texts)
            rank = BM25().open(Task(RetrievalData(part.name, data.corpus, table, {}), inside, rows[:0], Path()))
            width = max(DEPTHS) + 1  # one more, for a query's own document
            own_docs = None if data.own is None else data.own[rows]
            hits[here] = _in_blocks(rank, np.arange(len(rows)), width, bar.update, own_docs)[:, : hits.shape[1]]
            found = _in_blocks(rank, np.arange(len(rows), len(texts)), NEAR_POSITIVE + 1, bar.update)
            near |= dict(zip(own, found, strict=True))
    return Looked(by_split, asked, hits, pool, near)


def _in_blocks(
    rank: Ranker, rows: np.ndarray, width: int, done: Callable[[int], None], own: np.ndarray | None = None
) -> Int32[np.ndarray, "Q K"]:
    found = np.full((len(rows), width), -1, np.int32)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].astype(np.int32)
        hits = rank(block, np.full((len(block), 1), -1, np.int32), width)
        found[start : start + BLOCK] = (hits if own is None else hits.without(own[start : start + BLOCK])).ids
        done(len(block))
    return found


def _found(data: RetrievalData, split: str, looked: Looked) -> dict[str, Any]:
    """The share of a split's queries that have a positive among BM25's first hits, or no hit at all."""
    rows = looked.by_split[split]
    hits = looked.hits[np.searchsorted(looked.queries, rows)]
    relevant = _relevant(data, [split])
    good = np.array([np.isin(ids, relevant[int(row)]) for row, ids in zip(rows, hits, strict=True)])
    shares = {f"top{k}": float(good[:, :k].any(axis=1).mean()) if len(rows) else 0.0 for k in DEPTHS}
    nothing = float((hits < 0).all(axis=1).mean()) if len(rows) else 0.0
    return {"queries": len(rows), "of": len(data.qrels[split].query_rows), **shares, "nothing": nothing}


def _near_copies(data: RetrievalData, looked: Looked, groups: np.ndarray) -> dict[str, Any]:
    """Compare positives with the documents near them, and near their query, that have no label for it."""
    shingles = _shingles(data)
    judged = _relevant(data, list(data.qrels), judged=True)
    found = []
    for (query, positive), near in looked.near.items():
        hits = looked.hits[np.searchsorted(looked.queries, query), :NEAR_QUERY]
        for doc in set(np.concatenate([hits, near]).tolist()) - {-1, positive, *judged[query].tolist()}:
            if data.own is not None and doc == data.own[query]:
                continue
            share = 1.0 if groups[doc] == groups[positive] else jaccard(shingles(doc), shingles(positive))
            if share >= ALIKE:
                found.append((share, query, positive, doc))
    found.sort(key=lambda one: (-one[0], *one[1:]))
    queries = {query for _, query, _, _ in found}
    distinct = {query: (share, query, positive, doc) for share, query, positive, doc in reversed(found)}
    shown = sorted(distinct.values(), key=lambda one: (one[0] == 1.0, -one[0], one[1]))[:EXAMPLES]
    return {
        "queries": len(looked.near),
        "with_near_copies": len(queries),
        "documents": len(found),
        "word_for_word": sum(bool(groups[doc] == groups[positive]) for _, _, positive, doc in found),
        "alike_from": ALIKE,
        "examples": [_example(data, *one) for one in shown],
    }


def _example(data: RetrievalData, share: float, query: int, positive: int, doc: int) -> dict[str, Any]:
    return {
        "alike": share,
        "query": {"id": data.queries.ids[query].as_py(), "text": data.queries[query]},
        "positive": {"id": data.corpus.ids[positive].as_py(), "text": data.corpus[positive]},
        "not_labelled": {"id": data.corpus.ids[doc].as_py(), "text": data.corpus[doc]},
    }


def _shingles(data: RetrievalData) -> Callable[[int], frozenset]:
    """Return what cuts a document into its pairs of neighbouring words; each is cut once."""
    cut = splitter(resolved("auto", data))
    kept: dict[int, frozenset] = {}

    def of(doc: int) -> frozenset:
        if doc not in kept:
            words = cut(data.corpus[doc].lower())
            kept[doc] = frozenset(pairwise(words)) or frozenset(words)
        return kept[doc]

    return of


def jaccard(one: frozenset, other: frozenset) -> float:
    """The size of the intersection over that of the union; 0 for two empty sets."""
    return len(one & other) / max(len(one | other), 1)
