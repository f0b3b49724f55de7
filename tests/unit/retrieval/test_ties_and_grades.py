"""Metrics from trec_eval's definitions: runs with ties, grades, unjudged documents and nothing at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hardneg.retrieval.metrics import of_rankings


@pytest.fixture(scope="module")
def world():
    """Scores in steps of a half, so that most documents have equals; one query without hits, one without relevant."""
    rng = np.random.default_rng(0)
    docs = [f"d{i:02}" for i in range(50)]
    run, labels = {}, {}
    for q in range(20):
        judged = rng.choice(docs, 20, replace=False).tolist()
        grades = rng.integers(0, 4, 20) if q else np.zeros(20, int)
        labels[f"q{q}"] = dict(zip(judged, grades.tolist(), strict=True))
        found = rng.choice(docs, int(rng.integers(2, 30)), replace=False).tolist()
        run[f"q{q}"] = dict(zip(found, (np.round(rng.normal(size=len(found)) * 2) / 2).tolist(), strict=True))
    run["q1"] = {}
    return run, labels


def written_out(found, grades, family, k):
    """Equal scores stand by document id, the last first, whatever their order in the run."""
    gains = [grades.get(doc, 0) for doc in sorted(found, key=lambda doc: (found[doc], doc), reverse=True)[:k]]
    hits = [i for i, gain in enumerate(gains) if gain > 0]
    relevant = sum(grade > 0 for grade in grades.values())
    if family == "precision":
        return len(hits) / k
    if family == "mrr":
        return 1 / (hits[0] + 1) if hits else 0.0
    if not relevant:
        return 0.0
    if family == "recall":
        return len(hits) / relevant
    if family == "map":
        return sum((n + 1) / (i + 1) for n, i in enumerate(hits)) / relevant
    dcg, best = (
        sum(gain / math.log2(i + 2) for i, gain in enumerate(each))
        for each in (gains, sorted(grades.values(), reverse=True)[:k])
    )
    return dcg / best


@pytest.mark.parametrize("family", ["ndcg", "map", "recall", "precision", "mrr"])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_ties_grades_and_empty_lists(world, family, k):
    run, labels = world
    found = of_rankings(run, labels, [f"{family}@{k}"])[f"{family}@{k}"]
    expected = [written_out(run[query], labels[query], family, k) for query in run]
    assert any(expected)
    np.testing.assert_allclose(found, expected, atol=1e-9)
