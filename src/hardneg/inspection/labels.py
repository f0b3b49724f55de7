"""The judgements of each split, and what splits share but should not."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from hardneg.data.distinct import distinct
from hardneg.data.readers.split_names import SPLITS
from hardneg.data.tables import Qrels, RetrievalData
from hardneg.inspection.texts import EXAMPLES, Alike

STEPS = ((1, 1), (2, 2), (3, 5), (6, 10), (11, None))  # positives of a query, from and to


def in_order(data: RetrievalData) -> list[str]:
    """Name the splits: train, dev, test, then the others."""
    return sorted(data.qrels, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))


def labels(data: RetrievalData) -> dict[str, Any]:
    """Count queries, documents, judgements and grades of each split, and how many positives its queries have."""
    return {name: _split(data.qrels[name]) for name in in_order(data)}


def _split(qrels: Qrels) -> dict[str, Any]:
    relevant = qrels.relevant
    counts = np.unique(relevant.queries, return_counts=True)[1]
    grades = qrels.scores if qrels.gains is None else qrels.gains
    values, times = np.unique(grades, return_counts=True)
    return {
        "queries": len(counts),
        "judgements": len(qrels),
        "relevant": len(relevant),
        "relevant_documents": len(distinct(relevant.docs)),
        "grades": {f"{value:g}": int(n) for value, n in zip(values, times, strict=True)},
        "positives_per_query": {
            "mean": float(counts.mean()) if len(counts) else 0.0,
            "median": float(np.median(counts)) if len(counts) else 0.0,
            "max": int(counts.max(initial=0)),
            "queries_with": {_named(low, high): _between(counts, low, high) for low, high in STEPS},
        },
    }


def _named(low: int, high: int | None) -> str:
    return f"{low}+" if high is None else f"{low}" if low == high else f"{low}-{high}"


def _between(counts: np.ndarray, low: int, high: int | None) -> int:
    return int(((counts >= low) & (counts <= (high or counts.max(initial=0)))).sum())


def leaks(data: RetrievalData, alike: Alike) -> list[dict[str, Any]]:
    """Compare the splits two by two: queries of the later one that the earlier one has too, and shared positives.

    Queries are the same if their texts are `Alike`. A positive that two splits share is no mistake,
    as where many questions are asked of one document; it is counted, since a model has seen that document.
    """
    groups = alike.queries
    found = []
    for first, second in combinations(in_order(data), 2):
        known, asked = (data.qrels[name].relevant for name in (first, second))
        rows = np.unique(asked.queries)
        again = rows[np.isin(groups[rows], groups[np.unique(known.queries)])]
        shared = np.unique(asked.queries[np.isin(asked.docs, known.docs)])
        found.append(
            {
                "splits": [first, second],
                "queries": len(rows),
                "also_asked_in_first": len(again),
                "by_the_same_id": int(np.isin(again, known.queries).sum()),
                "with_a_positive_of_first": len(shared),
                "examples": [
                    {"id": data.queries.ids[int(row)].as_py(), "text": data.queries[int(row)]}
                    for row in again[:EXAMPLES]
                ],
            }
        )
    return found
