"""What an index answers to the test queries, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hardneg.ab.effects import Pairing
from hardneg.data.tables import Qrels, RetrievalData
from hardneg.retrieval.metrics import grades, of_rankings
from hardneg.runs.trec_runs import in_order
from hardneg.serving.live_index import LiveIndex

METRICS, DEPTH, BLOCK = ("ndcg@10", "recall@100"), 100, 256
Asked = Mapping[str, np.ndarray]


def ask(root: Path, checkpoint: Path, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
    """The first 100 of each query, whether the index is fresh or not."""
    live = LiveIndex(root, checkpoint, "cpu", "32-true", allow_stale=True)
    answers = [live.search(texts[start : start + BLOCK], DEPTH) for start in range(0, len(texts), BLOCK)]
    live.close()
    return [[(hit.id, hit.score) for hit in answer.hits] for block in answers for answer in block]


def at_random(data: RetrievalData, queries: int) -> list[list[tuple[str, float]]]:
    """100 documents drawn for each query."""
    rng, ids = np.random.default_rng(0), data.corpus.ids.to_pylist()
    drawn = [rng.choice(len(ids), DEPTH, replace=False) for _ in range(queries)]
    return [[(ids[row], 1.0 / rank) for rank, row in enumerate(rows, start=1)] for rows in drawn]


def measured(found: list[list[tuple[str, float]]], data: RetrievalData, qrels: Qrels) -> Asked:
    """Each metric, by query."""
    names = data.queries.ids.take(qrels.query_rows).to_pylist()
    rankings = {name: in_order(dict(ranked)) for name, ranked in zip(names, found, strict=True)}
    return of_rankings(rankings, grades(qrels, data), METRICS)


def interval(pairing: Pairing, values: np.ndarray) -> str:
    """95% of a mean, over queries."""
    effect = pairing.effect("", np.zeros_like(values), values)
    return f"[{effect.low:.4f}, {effect.high:.4f}]"
