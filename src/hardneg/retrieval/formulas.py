"""Metrics that trec_eval lacks, for one query: as in ranx (judged: ir_measures), in trec_eval's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from hardneg.retrieval.metric_names import Measure

Grades = Mapping[str, int | float]


def ordered(ranked: Mapping[str, float]) -> list[str]:
    """The documents as trec_eval sorts them: by score in float32, and of equal scores the larger id first."""
    pairs = sorted(ranked.items(), key=lambda pair: pair[0], reverse=True)
    scores = np.array([score for _, score in pairs], np.float32)
    return [pairs[row][0] for row in np.lexsort((np.arange(len(pairs)), -scores)).tolist()]


def value(measure: Measure, docs: list[str], labels: Grades, gains: Grades) -> float:
    """Return the metric of one query's `ordered` documents.

    `labels` above 0 are relevant, `gains` are the grades that are counted.
    """
    top = docs[: measure.cut]
    if measure.family == "judged":
        return sum(doc in labels for doc in top) / len(top) if top else 0.0
    if measure.family == "rbp":
        assert measure.persistence is not None
        weights = measure.persistence ** np.arange(len(top))
        return float((1 - measure.persistence) * (_gains(top, gains) @ weights))
    if measure.family in _OF_GAINS:
        return _OF_GAINS[measure.family](top, gains, measure.cut)
    relevant = sum(grade > 0 for grade in labels.values())
    hits = sum(labels.get(doc, 0) > 0 for doc in top)
    if measure.family == "hits":
        return float(hits)
    if measure.family == "hit_rate":
        return float(hits > 0)
    # f1: where the cut is beyond the end of the ranking, precision counts the missing documents as wrong.
    precision, recall = hits / (measure.cut or max(len(top), 1)), hits / max(relevant, 1)
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def _gains(docs: list[str], gains: Grades) -> Float[np.ndarray, " k"]:
    return np.array([max(gains.get(doc, 0), 0) for doc in docs], float)


def _discounted(values: Float[np.ndarray, " k"]) -> float:
    return float((values / np.log2(np.arange(2, len(values) + 2))).sum())


def _dcg(top: list[str], gains: Grades, cut: int | None) -> float:
    """Järvelin and Kekäläinen's (doi 10.1145/582415.582418): the gain is the grade."""
    return _discounted(_gains(top, gains))


def _dcg_burges(top: list[str], gains: Grades, cut: int | None) -> float:
    """Burges et al.'s (doi 10.1145/1102351.1102363): the gain is 2 to the power of the grade, less 1."""
    return _discounted(2 ** _gains(top, gains) - 1)


def _ndcg_burges(top: list[str], gains: Grades, cut: int | None) -> float:
    ideal = np.sort(2 ** np.array([max(grade, 0) for grade in gains.values()], float) - 1)[::-1][:cut]
    return _dcg_burges(top, gains, cut) / best if (best := _discounted(ideal)) else 0.0


_OF_GAINS: dict[str, Callable[[list[str], Grades, int | None], float]] = {
    "dcg": _dcg,
    "dcg_burges": _dcg_burges,
    "ndcg_burges": _ndcg_burges,
}
