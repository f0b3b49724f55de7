"""The part of a corpus that dev is ranked over: what is in it, and how far it agrees with all."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hardneg.data.mix import Mix
from hardneg.errors import ConfigError
from hardneg.retrieval.metrics import QueryRankings
from hardneg.retrieval.retriever import Retriever
from hardneg.testing.synthetic import make_model
from hardneg.training.dev_subset import Chooser, SubsetSize, choose, correlations


def ranking(data, seed, depth=8):
    rows = data.split("dev").query_rows
    rng = np.random.default_rng(seed)
    ids = np.array([rng.permutation(len(data.corpus))[:depth] for _ in rows], np.int32)
    return QueryRankings(rows, ids, np.zeros(ids.shape, np.float32))


def test_it_holds_what_is_relevant_what_is_ranked_first_and_random_ones(toy):
    bm25, model = ranking(toy, 1), ranking(toy, 2)
    bm25.ids[:, -1] = -1  # BM25 found no more
    found = choose(toy, "dev", SubsetSize(bm25=8, model=1, size=95), bm25, model)
    must = {*toy.qrels["dev"].relevant.docs.tolist(), *bm25.ids[:, :7].ravel().tolist(), *model.ids[:, 0].tolist()}
    assert must <= set(found.rows.tolist()) and len(found.rows) == 95 == sum(found.counts.values())
    assert np.array_equal(found.rows, np.unique(found.rows)) and found.of == 120
    assert found.counts["random"] == 95 - len(must)
    again = choose(toy, "dev", SubsetSize(bm25=8, model=1, size=95), bm25, model)
    assert again.name == found.name
    other = choose(toy, "dev", SubsetSize(bm25=8, model=1, size=95, seed=1), bm25, model)
    assert other.name != found.name and must <= set(other.rows.tolist())
    assert len(choose(toy, "dev", SubsetSize(size=10_000), None, None).rows) == 120
    relevant = choose(toy, "dev", SubsetSize(size=0), None, None).rows
    assert set(relevant.tolist()) == set(toy.qrels["dev"].relevant.docs.tolist())


def test_bm25_is_asked_as_deep_as_it_is_taken_and_not_at_all_for_none(toy):
    asked = []
    Chooser(toy, "dev", SubsetSize(bm25=3), lambda depth: asked.append(depth) or ranking(toy, 1), True)(None)
    Chooser(toy, "dev", SubsetSize(bm25=0), lambda depth: asked.append(depth) or ranking(toy, 1), True)(None)
    assert asked == [3]


@pytest.mark.parametrize("wrong", [{"size": -1}, {"bm25": True}])
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"evaluate.subset.{next(iter(wrong))}"):
        SubsetSize(**wrong)


class Ready:
    """A data set that is read already."""

    def __init__(self, data):
        self.load = lambda: data


@pytest.mark.parametrize("mixed", [False, True])
def test_a_ranking_over_some_documents_is_the_whole_one_without_the_others(toy, tmp_path, mixed):
    data = Mix({"one": Ready(toy), "two": Ready(toy)}).load() if mixed else toy
    model = make_model(data, tmp_path)
    retriever = Retriever(data, model.queries, model.docs, "32-true")
    rows = np.arange(0, len(data.corpus), 3, dtype=np.int32)
    some = retriever.runs(model.towers, ["dev"], 9, rows)["dev"]
    whole = retriever.runs(model.towers, ["dev"], len(data.corpus))["dev"]
    for ids, scores, every, of_all in zip(some.ids, some.scores, whole.ids, whole.scores, strict=True):
        inside = np.isin(every, rows)
        assert ids.tolist() == every[inside][:9].tolist()
        np.testing.assert_allclose(scores, of_all[inside][:9], rtol=1e-6)


def test_correlations_are_pearsons_and_kendalls():
    one, two = np.array([0.1, 0.5, 0.5, 0.9, 0.0]), np.array([0.2, 0.4, 0.6, 0.7, 0.1])
    pairs = list(combinations(range(5), 2))
    signs = [np.sign(one[i] - one[j]) * np.sign(two[i] - two[j]) for i, j in pairs]
    tied = [sum(side[i] != side[j] for i, j in pairs) for side in (one, two)]
    found = correlations(one, two)
    assert found["kendall"] == pytest.approx(sum(signs) / np.sqrt(tied[0] * tied[1]))
    centred = one - one.mean(), two - two.mean()
    assert found["pearson"] == pytest.approx((centred[0] @ centred[1]) / np.sqrt(np.prod([c @ c for c in centred])))
    assert correlations(one, one) == {"pearson": 1.0, "kendall": 1.0}
    assert np.isnan(correlations(one, np.zeros(5))["kendall"])
