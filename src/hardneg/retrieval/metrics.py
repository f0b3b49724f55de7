"""Retrieval metrics by pytrec_eval, so that they are trec_eval's to the digit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytrec_eval
from jaxtyping import Float, Float32, Int32

from hardneg.data.tables import Qrels, Ragged, RetrievalData
from hardneg.errors import ConfigError

Rankings = Mapping[str, dict[str, float]]  # query -> document -> score, best first

_TREC = {"ndcg": "ndcg_cut", "recall": "recall", "map": "map_cut", "mrr": "recip_rank"}


@dataclass(frozen=True)
class Run:
    """The ranking of each query: rows of documents, best first, -1 where there are no more."""

    queries: Int32[np.ndarray, " Q"]
    ids: Int32[np.ndarray, "Q K"]
    scores: Float32[np.ndarray, "Q K"]

    def as_dict(self, data: RetrievalData) -> dict[str, dict[str, float]]:
        """String ids, as pytrec_eval and ranx read them."""
        query_ids = data.queries.ids.take(self.queries).to_pylist()
        doc_ids = np.asarray(data.corpus.ids.to_pylist(), dtype=object)
        kept = self.ids >= 0
        return {
            query: dict(zip(doc_ids[ids[keep]].tolist(), scores[keep].tolist(), strict=True))
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
    return of_rankings(run.as_dict(data), grades(qrels, data), names)


def of_rankings(
    rankings: Rankings, labels: Mapping[str, Mapping[str, int]], names: Sequence[str]
) -> dict[str, Float[np.ndarray, " Q"]]:
    """Return each metric for every ranking, in their order, by the grades of `labels` (query -> document -> grade).

    Raises `ConfigError` for a metric that we do not have.
    """
    check(names)
    out = {}
    for name in names:
        family, cut = name.split("@")
        # trec_eval's recip_rank has no cut of its own: give it only the first k.
        found = rankings if family != "mrr" else first(rankings, int(cut))
        measure = _TREC[family] + ("" if family == "mrr" else f".{cut}")
        result = pytrec_eval.RelevanceEvaluator(labels, {measure}).evaluate(found)
        key = measure.replace(".", "_")
        out[name] = np.array([result.get(query, {}).get(key, 0.0) for query in rankings])
    return out


def by_set(values: Float[np.ndarray, " Q"], queries: Int32[np.ndarray, " Q"], data: RetrievalData) -> dict[str, float]:
    """Average a metric over the queries of each data set; `queries` are their rows, in order."""
    return {part.name: float(values[here].mean()) for part, here in data.by_part(queries)}


def average(values: Float[np.ndarray, " Q"], queries: Int32[np.ndarray, " Q"], data: RetrievalData) -> float:
    """Average a metric over the queries; of several sets in one over the sets' averages, as BEIR is reported."""
    return float(np.mean(list(by_set(values, queries, data).values())))


def first(rankings: Rankings, k: int) -> dict[str, dict[str, float]]:
    """Keep the `k` best of each ranking."""
    return {query: dict(islice(ranked.items(), k)) for query, ranked in rankings.items()}


def grades(qrels: Qrels, data: RetrievalData) -> dict[str, dict[str, int]]:
    """Return the judgements as pytrec_eval reads them: query -> document -> grade."""
    found: dict[str, dict[str, int]] = {}
    queries = data.queries.ids.take(qrels.queries).to_pylist()
    docs = data.corpus.ids.take(qrels.docs).to_pylist()
    for query, doc, score in zip(queries, docs, qrels.scores.tolist(), strict=True):
        found.setdefault(query, {})[doc] = grade(score)
    return found


def grade(score: float) -> int:
    """Return a judgement as a whole grade, which is all that trec_eval knows.

    Anything above 0 is relevant here as it is in training.
    """
    return max(round(score), 1) if score > 0 else 0
