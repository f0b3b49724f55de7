"""Retrieval metrics: trec_eval's by pytrec_eval to the digit, ranx's by formula, and those of a user's own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

import hydra
import numpy as np
import pytrec_eval
from jaxtyping import Float, Float32, Int32

from hardneg.config import classes
from hardneg.data.grades import whole_steps
from hardneg.data.ragged import Ragged
from hardneg.data.tables import Qrels, RetrievalData
from hardneg.errors import ConfigError
from hardneg.retrieval import formulas
from hardneg.retrieval.left_out import left_out
from hardneg.retrieval.metric_names import GRADED, Measure, measure

Rankings = Mapping[str, dict[str, float]]  # query -> document -> score, best first
# query -> document -> grade: above 0 where it is relevant; below 0, in TREC's sampled judgements, where it was pooled
# but not judged, which bpref and infAP tell from 0.
Labels = Mapping[str, Mapping[str, int | float]]

BLOCK = 1024  # queries whose documents are looked up at a time

# One of your own: (qrels, run) -> the value of each query, where larger is better; see docs/guides/evaluate.md.
Own = Callable[[Labels, Rankings], Mapping[str, float]]


@dataclass(frozen=True)
class OwnMetric:
    """A user's own metric: its name, and the function."""

    name: str
    function: Own

    def values(self, rankings: Rankings, labels: Labels) -> Float[np.ndarray, " Q"]:
        """Compute it; a query that it leaves out has 0. Raises `ConfigError` unless it gives numbers by query."""
        judged = {
            query: {doc: max(grade, 0) for doc, grade in docs.items()}
            for query, docs in labels.items()
            if query in rankings
        }
        found = self.function(judged, {query: dict(ranked) for query, ranked in rankings.items()})
        if not isinstance(found, Mapping):
            raise ConfigError(f"evaluate.metrics: {self.name} returned {type(found).__name__}, not {{query: value}}")
        try:
            out = np.array([float(found.get(query, 0.0)) for query in rankings])
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"evaluate.metrics: {self.name} returned a value that is not a number: {error}"
            ) from error
        if not np.isfinite(out).all():
            raise ConfigError(f"evaluate.metrics: {self.name} returned {out[~np.isfinite(out)][0]} for a query")
        return out


Metric = str | OwnMetric


@dataclass(frozen=True)
class QueryRankings:
    """The ranking of each query: rows of documents, best first, -1 where there are no more."""

    queries: Int32[np.ndarray, " Q"]
    ids: Int32[np.ndarray, "Q K"]
    scores: Float32[np.ndarray, "Q K"]

    def as_dict(self, data: RetrievalData) -> dict[str, dict[str, float]]:
        """String ids, as pytrec_eval and ranx read them."""
        query_ids = data.queries.ids.take(self.queries).to_pylist()
        rows, places = np.unique(self.ids, return_inverse=True)  # the names of found documents only, among millions
        names = np.asarray(data.corpus.ids.take(rows.clip(min=0)).to_pylist(), dtype=object)
        kept, places = self.ids >= 0, places.reshape(self.ids.shape)
        return {
            query: dict(zip(names[place[keep]].tolist(), scores[keep].tolist(), strict=True))
            for query, place, scores, keep in zip(query_ids, places, self.scores, kept, strict=True)
        }

    def without(self, seen: Ragged, depth: int) -> QueryRankings:
        """Leave out what is `seen` for each query, and keep the `depth` best of the rest."""
        out = np.zeros(self.ids.shape, bool)
        for start in range(0, len(out), BLOCK):
            block = slice(start, start + BLOCK)
            out[block] = seen.holds(self.queries[block], self.ids[block])
        return QueryRankings(self.queries, *left_out(out, self.ids, self.scores, depth))


def check(names: Sequence[Any]) -> None:
    """Raise `ConfigError` for an unknown metric, or one that is named twice; does not import users' own."""
    if not names:
        raise ConfigError("evaluate.metrics=[] measures nothing; name one, such as ndcg@10")
    if odd := [one for one in names if not isinstance(one, str | Mapping | OwnMetric)]:
        raise ConfigError(f"evaluate.metrics: {odd[0]!r} is neither a name nor {{_target_: mypackage.first_hit}}")
    said = names_of(names)
    for given, name in zip(names, said, strict=True):
        if said.count(name) > 1:
            raise ConfigError(f"evaluate.metrics names {name} twice; give one of your own another name by `name:`")
        if isinstance(given, str):
            measure(given)


def names_of(metrics: Sequence[Any]) -> list[str]:
    """The names of metrics in tables, files and `evaluate.best`: for one of your own its `name`, else its target's."""
    return [
        _own_name(one) if isinstance(one, Mapping) else one if isinstance(one, str) else one.name for one in metrics
    ]


def _own_name(node: Mapping[str, Any]) -> str:
    target = node.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(f"evaluate.metrics: {dict(node)} has no _target_, as in {{_target_: mypackage.first_hit}}")
    name = node.get("name") or target.rsplit(".", 1)[-1]
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w@.-]*", name):
        raise ConfigError(f"evaluate.metrics: name={name!r} must be of letters, digits, _, @, . and -")
    return name


def resolve(metrics: Any) -> list[Metric]:
    """Resolve `evaluate.metrics`: names as they are, and functions or objects of your own.

    Raises `ConfigError` for a target that is not allowed (HARDNEG_TARGETS), cannot be imported or cannot be called.
    """
    return [
        OwnMetric(_own_name(one), _made(one)) if isinstance(one, Mapping) else one for one in classes.plain(metrics)
    ]


def _made(node: Mapping[str, Any]) -> Own:
    """A class is made with the settings; a function is called with them beside the judgements and the run."""
    node = {key: value for key, value in node.items() if key != "name"}
    path = f"evaluate.metrics.{_own_name(node)}"
    classes.check_allowed(path, node)
    try:
        found = hydra.utils.get_object(node["_target_"])
    except Exception as error:
        raise ConfigError(f"{path}: {node['_target_']} cannot be imported: {error}") from error
    made = classes.build(node if inspect.isclass(found) else {**node, "_partial_": True})
    if not callable(made):
        raise ConfigError(f"{path}: {node['_target_']} must be a function of (qrels, run), or a class with __call__")
    return made


def deepest(metrics: Sequence[Any]) -> int:
    """How many documents a query's ranking must have for these metrics."""
    return max((measure(one).cut or 1 for one in metrics if isinstance(one, str)), default=1)


def per_query(
    run: QueryRankings, qrels: Qrels, data: RetrievalData, names: Sequence[Metric]
) -> dict[str, Float[np.ndarray, " Q"]]:
    """Return each metric for every query of the run, in its order; a query for which nothing was found scores 0."""
    return of_rankings(run.as_dict(data), grades(qrels, data), names, gains(qrels, data))


def of_rankings(
    rankings: Rankings, labels: Labels, names: Sequence[Metric], gains: Labels | None = None
) -> dict[str, Float[np.ndarray, " Q"]]:
    """Return each metric for every ranking, in their order, by `labels`: a grade above 0 is relevant.

    `gains` are the grades that nDCG counts, where they are not the labels: trec_eval's relevance level (`-l 2`) leaves
    its gains alone too. Fractions count as they are written. Raises `ConfigError` for a metric that we do not have,
    `DataError` for grades that trec_eval cannot count.
    """
    check(names)
    whole = _whole(labels)
    whole_gains = whole if gains is None else _whole(gains)
    of_trec = {what for one in names if isinstance(one, str) and (what := measure(one)).trec is not None}
    by_gain = {what for what in of_trec if what.family in GRADED and gains is not None}
    trec = _by_trec(of_trec - by_gain, rankings, whole) | _by_trec(by_gain, rankings, whole_gains)
    by_formula = any(isinstance(one, str) and measure(one).trec is None for one in names)
    order = {query: formulas.ordered(ranked) for query, ranked in rankings.items()} if by_formula else {}
    out = {}
    for one, name in zip(names, names_of(names), strict=True):
        if isinstance(one, OwnMetric):
            out[name] = one.values(rankings, labels)
        elif (what := measure(one)) in trec:
            out[name] = trec[what]
        else:
            counted = labels if gains is None else gains
            out[name] = np.array(
                [formulas.value(what, docs, labels.get(q, {}), counted.get(q, {})) for q, docs in order.items()]
            )
    return out


def _by_trec(
    measures: Set[Measure], rankings: Rankings, judged: Mapping[str, dict[str, int]]
) -> dict[Measure, Float[np.ndarray, " Q"]]:
    """Return trec_eval's measures, all by one reading of the rankings, which takes longer than to count."""
    if not measures:
        return {}
    result = pytrec_eval.RelevanceEvaluator(judged, {str(one.trec) for one in measures}).evaluate(rankings)
    return {one: _of_result(one, result, rankings) for one in measures}


def _of_result(what: Measure, result: Mapping[str, Mapping[str, float]], rankings: Rankings) -> Float[np.ndarray, " Q"]:
    key = str(what.trec).replace("recall.0.", "recall_0.").replace("recall.1.", "recall_1.")
    key = key if key.startswith("iprec") else key.replace(".", "_")
    values = np.array([result.get(query, {}).get(key, 0.0) for query in rankings])
    if what.trec == "recip_rank" and what.cut is not None:  # which has no cut of its own
        values[values < 1 / (what.cut + 0.5)] = 0.0
    return values


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
    """Return the judgements by string ids: query -> document -> grade, 0 or less for what is not relevant."""
    return _by_id(qrels, qrels.scores, data)


def gains(qrels: Qrels, data: RetrievalData) -> dict[str, dict[str, int | float]] | None:
    """Return the grades that nDCG counts, in the same form; None where they are those of `grades`."""
    return None if qrels.gains is None else _by_id(qrels, qrels.gains, data)


def _by_id(qrels: Qrels, scores: Float32[np.ndarray, " n"], data: RetrievalData) -> dict[str, dict[str, int | float]]:
    found: dict[str, dict[str, int | float]] = {}
    queries = data.queries.ids.take(qrels.queries).to_pylist()
    docs = data.corpus.ids.take(qrels.docs).to_pylist()
    for query, doc, score in zip(queries, docs, scores.tolist(), strict=True):
        found.setdefault(query, {})[doc] = grade(score)
    return found


def grade(score: int | float) -> int | float:
    """Return a judgement's grade as it is written; of those below 0, which mean nothing but that, the whole part."""
    return int(score) if score <= 0 or score == int(score) else float(f"{score:.6g}")  # from float32


def _whole(labels: Labels) -> dict[str, dict[str, int]]:
    """Return grades as whole numbers, for trec_eval: multiples of a step that divides all that are above 0."""
    steps = whole_steps(value for docs in labels.values() for value in docs.values())
    return {query: {doc: round(value * steps) for doc, value in docs.items()} for query, docs in labels.items()}
