"""Metrics by hand, and against formulas written out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import pytrec_eval

from hardneg.data.parts import Part
from hardneg.data.ragged import Ragged
from hardneg.errors import ConfigError
from hardneg.retrieval import metrics
from hardneg.retrieval.metrics import QueryRankings, average, by_set, check, first, per_query
from hardneg.testing.synthetic import make_data

ALL = ["ndcg@3", "ndcg@10", "mrr@1", "mrr@10", "recall@2", "recall@10", "map@3", "map@10"]


def run_of(rankings):
    width = max(map(len, rankings.values()))
    ids = np.full((len(rankings), width), -1, np.int32)
    for row, found in enumerate(rankings.values()):
        ids[row, : len(found)] = found
    scores = np.tile(-np.arange(width, dtype=np.float32), (len(rankings), 1))
    scores[ids < 0] = -np.inf
    return QueryRankings(np.array(list(rankings), np.int32), ids, scores)


def test_by_hand():
    data = make_data([(0, 3), (0, 5), (0, 9), (1, 2)])
    found = per_query(run_of({0: [4, 5, 1, 3], 1: [2, 0, 1, 3]}), data.split("train"), data, ALL)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg@3"] == pytest.approx([1 / math.log2(3) / ideal, 1])
    assert found["ndcg@10"] == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 1])
    assert found["mrr@1"].tolist() == [0, 1] and found["mrr@10"].tolist() == [0.5, 1]
    assert found["recall@2"] == pytest.approx([1 / 3, 1]) and found["recall@10"] == pytest.approx([2 / 3, 1])
    assert found["map@10"] == pytest.approx([(1 / 2 + 2 / 4) / 3, 1])


def test_grades_count_in_ndcg_and_what_was_judged_not_relevant_counts_as_nothing():
    data = make_data([(0, 1, 2), (0, 2, 1), (0, 3, 0), (0, 4, -1)])
    found = per_query(run_of({0: [3, 4, 2, 1]}), data.split("train"), data, ["ndcg@10", "recall@2", "mrr@10"])
    expected = (1 / math.log2(4) + 2 / math.log2(5)) / (2 + 1 / math.log2(3))
    assert found["ndcg@10"] == pytest.approx([expected])
    assert found["recall@2"] == [0] and found["mrr@10"] == pytest.approx([1 / 3])


@pytest.mark.parametrize("best", [1, 0.5])
def test_grades_below_0_reach_trec_eval(best):
    """In sampled judgements -1 is a pooled document that nobody judged: infAP estimates what it would be."""
    grades = [-1, 1, 0, -1, -1, 1, 0, 1, -1, 0]
    data = make_data([(0, doc, best if grade > 0 else grade) for doc, grade in enumerate(grades)])
    labels = {"q0": {f"d{doc}": grade for doc, grade in enumerate(grades)}}
    ranking = {"q0": {f"d{doc}": float(-doc) for doc in range(10)}}
    expected = pytrec_eval.RelevanceEvaluator(labels, {"infAP", "bpref", "map"}).evaluate(ranking)["q0"]
    found = per_query(run_of({0: list(range(10))}), data.split("train"), data, ["infap", "bpref", "map"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "infap": [expected["infAP"]], "bpref": [expected["bpref"]], "map": [expected["map"]]
    }  # fmt: skip


def formulas(ranking, relevant, name):
    """The metric of one query with binary labels."""
    family, k = name.split("@")
    hits = [doc in relevant for doc in ranking[: int(k)]]
    if family == "recall":
        return sum(hits) / len(relevant)
    if family == "mrr":
        return next((1 / (i + 1) for i, hit in enumerate(hits) if hit), 0.0)
    if family == "map":
        return sum(sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit) / len(relevant)
    gain = [1 / math.log2(i + 2) for i in range(int(k))]
    return sum(g for g, hit in zip(gain, hits, strict=False) if hit) / sum(gain[: len(relevant)])


def test_random_runs_against_the_formulas():
    rng = np.random.default_rng(0)
    relevant = {query: rng.choice(40, 1 + query % 5, replace=False).tolist() for query in range(20)}
    rankings = {query: rng.permutation(40)[: rng.integers(1, 15)].tolist() for query in range(20)}
    data = make_data([(q, doc) for q, docs in relevant.items() for doc in docs], docs=40, queries=20)
    found = per_query(run_of(rankings), data.split("train"), data, ALL)
    for name in ALL:
        expected = [formulas(rankings[query], relevant[query], name) for query in range(20)]
        np.testing.assert_allclose(found[name], expected, atol=1e-6, err_msg=name)


def test_a_query_for_which_nothing_was_found_scores_0_and_stays_in_its_place():
    data = make_data([(0, 1), (1, 2), (2, 3)])
    found = per_query(run_of({2: [3], 0: [], 1: [2]}), data.split("train"), data, ["recall@10", "ndcg@10"])
    assert found["recall@10"].tolist() == [1, 0, 1] and found["ndcg@10"].tolist() == [1, 0, 1]


def test_as_dict_has_string_ids_in_order_of_rank_and_no_padding():
    data = make_data([(0, 1)])
    run = run_of({1: [5, 2], 0: [7]})
    assert run.as_dict(data) == {"q1": {"d5": 0.0, "d2": -1.0}, "q0": {"d7": 0.0}}
    assert first(run.as_dict(data), 1) == {"q1": {"d5": 0.0}, "q0": {"d7": 0.0}}


@pytest.mark.parametrize("name", ["ndcg@ 10", "ndcg@0", "ndcg@x", "accuracy@5", "NDCG@10", "ndcg@10 "])
def test_a_metric_that_we_do_not_have_is_named(name):
    with pytest.raises(ConfigError, match=r"evaluate\.metrics"):
        check(["mrr@10", name])


def test_what_was_seen_is_left_out_and_the_next_move_up():
    run = run_of({0: [4, 5, 1, 3], 1: [2, 0, 1, -1]})
    seen = Ragged.of(np.array([0, 0, 1]), np.array([5, 3, 9]), 2)
    left = run.without(seen, 3)
    assert left.ids.tolist() == [[4, 1, -1], [2, 0, 1]]
    assert left.scores.tolist() == [[0, -2, -np.inf], [0, -1, -2]]


def test_what_was_seen_is_looked_up_block_by_block(monkeypatch):
    monkeypatch.setattr(metrics, "BLOCK", 3)
    rng = np.random.default_rng(0)
    run = run_of({query: rng.permutation(20)[: rng.integers(1, 12)].tolist() for query in range(1, 8)})
    seen = Ragged.of(rng.integers(0, 9, 60), rng.integers(0, 20, 60), 9)
    left = run.without(seen, 4)
    for query, before, after in zip(run.queries.tolist(), run.ids.tolist(), left.ids.tolist(), strict=True):
        kept = [doc for doc in before if doc >= 0 and doc not in seen[query]][:4]
        assert after == kept + [-1] * (len(after) - len(kept))


def test_every_one_of_several_sets_counts_the_same():
    data = make_data([(0, 3)], queries=6)
    values, queries = np.array([0.1, 0.3, 0.8]), np.array([0, 1, 5], np.int32)
    assert average(values, queries, data) == pytest.approx(0.4) and by_set(values, queries, data).keys() == {"tiny"}
    parts = (
        Part("a", range(3), range(2)),
        Part("none", range(3, 3), range(2, 4)),
        Part("b", range(3, 6), range(4, 10)),
    )
    mixed = replace(data, mixed=parts)
    assert by_set(values, queries, mixed) == pytest.approx({"a": 0.2, "b": 0.8}), "a set without queries has no mean"
    assert average(values, queries, mixed) == pytest.approx(0.5)
