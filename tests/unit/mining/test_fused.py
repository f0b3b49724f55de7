"""Fusing lists: worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits, Miner, Task
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.mining.fused import Fused
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.retrieval.corpus_vectors import CorpusVectors
from hardneg.testing.synthetic import make_model


class Fixed(Miner):
    """Always the same list, with scores that fall from 1."""

    def __init__(self, ids, positive):
        self.ids, self.positive = ids, positive

    def identity(self):
        return {"fixed": self.ids}

    def open(self, task):
        def rank(queries, positives, k):
            ids = np.array([(self.ids + [-1] * k)[:k]], np.int32)
            scores = np.where(ids >= 0, 1 - 0.1 * np.arange(k), -np.inf).astype(np.float32)
            return Hits(ids, scores, np.array([self.positive], np.float32))

        return rank


def test_ranks_are_added_up(toy, tmp_path):
    nan = float("nan")
    fused = Fused([Fixed([5, 3, 9], [0.95, nan, 0.1]), Fixed([3, 7], [2.0, nan, nan])], constant=10)
    everything, nobody = np.arange(10, dtype=np.int32), np.empty(0, np.int32)
    hits = fused.open(Task(toy, everything, nobody, tmp_path))(
        np.zeros(1, np.int32), np.array([[1, 2, 4]], np.int32), 3
    )
    assert hits.ids.tolist() == [[3, 5, 7]]
    np.testing.assert_allclose(hits.scores, [[1 / 12 + 1 / 11, 1 / 11, 1 / 12]], rtol=1e-6)
    # 0.95 is outscored by one hit of the first list, 2.0 by none of the second; 0.1 is below the first list.
    np.testing.assert_allclose(hits.positives, [[1 / 12 + 1 / 11, nan, 0.0]], rtol=1e-6)


def test_lexical_and_dense_together(toy, tmp_path):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    fused = Fused([BM25(), Dense()])
    assert fused.follows_model and fused.collective
    ready = fused.ready(toy, model, tmp_path)
    store = mine_and_store(MiningRecipe(ready, 10, "all", {}), training, tmp_path)
    one, two = (
        mine_and_store(MiningRecipe(miner.ready(toy, model, tmp_path), 10, "all", {}), training, tmp_path)
        for miner in (BM25(), Dense())
    )
    for query in training.queries[:10].tolist():
        union = {*one.ids[query].tolist(), *two.ids[query].tolist()}
        assert set(store.ids[query].tolist()) <= union


@pytest.mark.parametrize("wrong", [{"miners": [BM25()]}, {"miners": [BM25(), BM25()], "constant": 0}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ConfigError):
        Fused(**wrong)


def test_two_dense_miners_embed_apart(toy, tmp_path):
    """Their embeddings lie in files of the same names."""
    training = TrainingSet(toy)
    models = [make_model(toy, tmp_path, seed=seed) for seed in (0, 1)]

    def miner(model):
        return Dense().ready(toy, model, tmp_path)

    def lists(*models):
        fused = Fused([miner(model) for model in models])
        return mine_and_store(MiningRecipe(fused, 20, "all", {}), training, tmp_path)

    one, two = lists(*models), lists(*models[::-1])
    np.testing.assert_array_equal(one.ids, two.ids)
    alone = mine_and_store(MiningRecipe(Fused([miner(models[0])] * 2), 20, "all", {}), training, tmp_path)
    assert (alone.ids != one.ids).any()


def test_the_current_weights_and_their_average_are_fused_where_vectors_are_shared(toy, tmp_path):
    """The vectors of one state of the weights make way for the next one's, but not while they are read."""
    training, shared = TrainingSet(toy), CorpusVectors(tmp_path / "vectors")
    one, two = (make_model(toy, tmp_path, seed=seed) for seed in (0, 1))

    def mined(model, cache):
        fused = Fused([Dense(), Dense(weights="average")]).ready(toy, model, cache)
        return mine_and_store(MiningRecipe(fused, 10, "all", {}), training, cache)

    apart = mined(replace(one, average=two.towers), tmp_path / "apart")
    together = mined(replace(one, average=two.towers, shared=shared), tmp_path / "together")
    np.testing.assert_array_equal(apart.ids, together.ids)
    shared.of(make_model(toy, tmp_path, seed=2))
    assert len(list((tmp_path / "vectors").iterdir())) == 1, "nobody reads the others any more"


def test_a_short_list_gives_nothing_to_a_positive_that_it_does_not_hold(toy, tmp_path):
    fused = Fused([Fixed([5], [0.0]), Fixed([3], [2.0])], constant=10)
    everything, nobody = np.arange(10, dtype=np.int32), np.empty(0, np.int32)
    rank = fused.open(Task(toy, everything, nobody, tmp_path))
    hits = rank(np.zeros(1, np.int32), np.array([[1]], np.int32), 3)
    np.testing.assert_allclose(hits.positives, [[1 / 11]], rtol=1e-6)


class Rounded(Fixed):
    """Scores its positives one by one, a little lower than among the hits."""

    def open(self, task):
        rank = super().open(task)

        def lower(queries, positives, k):
            hits = rank(queries, positives, k)
            return Hits(hits.ids, hits.scores, np.nextafter(hits.positives, np.float32(-np.inf), dtype=np.float32))

        return lower


def test_a_listed_positive_gets_what_its_hit_gets_however_its_score_is_rounded(toy, tmp_path):
    """The last of a list would otherwise be below it."""
    fused = Fused([Rounded([5, 3, 9], [1.0, 0.9, 0.8]), Rounded([3, 5, 9], [0.9, 1.0, 0.8])], constant=10)
    everything, nobody = np.arange(10, dtype=np.int32), np.empty(0, np.int32)
    rank = fused.open(Task(toy, everything, nobody, tmp_path))
    hits = rank(np.zeros(1, np.int32), np.array([[5, 3, 9]], np.int32), 3)
    assert sorted(hits.ids[0].tolist()) == [3, 5, 9]
    for doc, score in zip(hits.ids[0].tolist(), hits.scores[0], strict=True):
        assert hits.positives[0, [5, 3, 9].index(doc)] == score
