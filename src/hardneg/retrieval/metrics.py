"""Retrieval metrics by pytrec_eval, so that they are trec_eval's to the digit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytrec_eval
from jaxtyping import Float, Float32, Int32

from hardneg.data.tables import Qrels, Ragged, RetrievalData
from hardneg.errors import ConfigError

_TREC = {"ndcg": "ndcg_cut", "recall": "recall", "map": "map_cut", "mrr": "recip_rank"}


@dataclass(frozen=True)
class Run:
    """The ranking of each query: rows of documents, best first, -1 where there are no more."""

    queries: Int32[np.ndarray, " Q"]
    ids: Int32[np.ndarray, "Q K"]
    scores: Float32[np.ndarray, "Q K"]

    def as_dict(self, data: RetrievalData, k: int | None = None) -> dict[str, dict[str, float]]:
        """String ids, as pytrec_eval and ranx read them; only the first `k` where given."""
        query_ids = data.queries.ids.take(self.queries).to_pylist()
        doc_ids = np.asarray(data.corpus.ids.to_pylist(), dtype=object)
        kept = self.ids[:, :k] >= 0
        return {
            query: dict(zip(doc_ids[ids[:k][keep]].tolist(), scores[:k][keep].tolist(), strict=True))
            for query, ids, scores, keep in zip(query_ids, self.ids, self.scores, kept, strict=True)
        }

    def without(self, seen: Ragged, depth: int) -> Run:
        """Leave out what is `seen` for each query, and keep the `depth` best of the rest."""
        out = np.zeros(self.ids.shape, bool)
        for column in seen.padded(self.queries).T:  # one pass a document: no (Q, K, P) array
            out |= self.ids == column[:, None]
        order = np.argsort(out, axis=1, kind="stable")[:, :depth]
        ids, scores = np.where(out, np.int32(-1), self.ids), np.where(out, np.float32(-np.inf), self.scores)
        return Run(self.queries, np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1))


def check(names: Sequence[str]) -> None:
    """Raise `ConfigError` for a metric we do not have."""
    for name in names:
        if not re.fullmatch(rf"({'|'.join(_TREC)})@[1-9]\d*", name):
            raise ConfigError(f"evaluate.metrics: {name!r} is none of {', '.join(f'{m}@k' for m in _TREC)}")


def per_query(run: Run, qrels: Qrels, data: RetrievalData, names: Sequence[str]) -> dict[str, Float[np.ndarray, " Q"]]:
    """Return each metric for every query of the run, in its order; a query for which nothing was found scores 0."""
    check(names)
    labels = _labels(qrels, data)
    out = {}
    everything = run.as_dict(data)
    for name in names:
        family, cut = name.split("@")
        # trec_eval's recip_rank has no cut of its own: give it only the first k.
        found = run.as_dict(data, int(cut)) if family == "mrr" else everything
        measure = _TREC[family] + ("" if family == "mrr" else f".{cut}")
        result = pytrec_eval.RelevanceEvaluator(labels, {measure}).evaluate(found)
        key = measure.replace(".", "_")
        out[name] = np.array([result.get(query, {}).get(key, 0.0) for query in everything])
    return out


def by_set(values: Float[np.ndarray, " Q"], queries: Int32[np.ndarray, " Q"], data: RetrievalData) -> dict[str, float]:
    """Average a metric over the queries of each data set; `queries` are their rows, in order."""
    return {part.name: float(values[here].mean()) for part, here in data.by_part(queries)}


def average(values: Float[np.ndarray, " Q"], queries: Int32[np.ndarray, " Q"], data: RetrievalData) -> float:
    """Average a metric over the queries; of several sets in one over the sets' averages, as BEIR is reported."""
    return float(np.mean(list(by_set(values, queries, data).values())))


def _labels(qrels: Qrels, data: RetrievalData) -> dict[str, dict[str, int]]:
    labels: dict[str, dict[str, int]] = {}
    queries = data.queries.ids.take(qrels.queries).to_pylist()
    docs = data.corpus.ids.take(qrels.docs).to_pylist()
    for query, doc, score in zip(queries, docs, qrels.scores.tolist(), strict=True):
        # trec_eval knows whole grades only; anything above 0 is relevant here as it is in training.
        labels.setdefault(query, {})[doc] = max(round(score), 1) if score > 0 else 0
    return labels
