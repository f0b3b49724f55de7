"""Retrieval metrics by pytrec_eval, so that they are trec_eval's to the digit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytrec_eval
from jaxtyping import Float, Float32, Int32

from hardneg.data.grades import whole_steps
from hardneg.data.tables import Qrels, Ragged, RetrievalData
from hardneg.errors import ConfigError

Rankings = Mapping[str, dict[str, float]]  # query -> document -> score, best first
Labels = Mapping[str, Mapping[str, int | float]]  # query -> document -> grade, above 0 where it is relevant

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
    return of_rankings(run.as_dict(data), grades(qrels, data), names, gains(qrels, data))


def of_rankings(
    rankings: Rankings, labels: Labels, names: Sequence[str], gains: Labels | None = None
) -> dict[str, Float[np.ndarray, " Q"]]:
    """Return each metric for every ranking, in their order, by `labels`: a grade above 0 is relevant.

    `gains` are the grades that nDCG counts, where they are not the labels: trec_eval's relevance level (`-l 2`) leaves
    its gains alone too. Fractions count as they are written. Raises `ConfigError` for a metric that we do not have,
    `DataError` for grades that trec_eval cannot count.
    """
    check(names)
    whole, out = _whole(labels), {}
    whole_gains = whole if gains is None else _whole(gains)
    for name in names:
        family, cut = name.split("@")
        # trec_eval's recip_rank has no cut of its own: give it only the first k.
        found = rankings if family != "mrr" else first(rankings, int(cut))
        measure = _TREC[family] + ("" if family == "mrr" else f".{cut}")
        judged = whole_gains if family == "ndcg" else whole
        result = pytrec_eval.RelevanceEvaluator(judged, {measure}).evaluate(found)
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


def grades(qrels: Qrels, data: RetrievalData) -> dict[str, dict[str, int | float]]:
    """Return the judgements by string ids: query -> document -> grade, 0 for what is not relevant."""
    return _by_id(qrels, qrels.scores, data)


def gains(qrels: Qrels, data: RetrievalData) -> dict[str, dict[str, int | float]] | None:
    """Return the grades that nDCG counts, likewise; None where they are those of `grades`."""
    return None if qrels.gains is None else _by_id(qrels, qrels.gains, data)


def _by_id(qrels: Qrels, scores: Float32[np.ndarray, " n"], data: RetrievalData) -> dict[str, dict[str, int | float]]:
    found: dict[str, dict[str, int | float]] = {}
    queries = data.queries.ids.take(qrels.queries).to_pylist()
    docs = data.corpus.ids.take(qrels.docs).to_pylist()
    for query, doc, score in zip(queries, docs, scores.tolist(), strict=True):
        found.setdefault(query, {})[doc] = grade(score)
    return found


def grade(score: int | float) -> int | float:
    """Return a judgement's grade as it is written, 0 for what was judged and found not relevant."""
    return 0 if score <= 0 else int(score) if score == int(score) else float(f"{score:.6g}")  # from float32


def _whole(labels: Labels) -> dict[str, dict[str, int]]:
    """Return grades as trec_eval knows them, in whole numbers: as many steps of what all of them are multiples of."""
    steps = whole_steps(value for docs in labels.values() for value in docs.values())
    return {query: {doc: round(value * steps) for doc, value in docs.items()} for query, docs in labels.items()}
