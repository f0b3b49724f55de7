"""Rules by an encoder: ranks and cosines are those of brute force, whatever the blocks, sets and copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ready import mix

from hardneg.data.tokens import Side
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.pairs import consistency
from hardneg.pairs.base import Pairs
from hardneg.pairs.consistency import Consistency
from hardneg.pairs.score import Score
from hardneg.retrieval import embedding_blocks
from hardneg.retrieval.embed_tables import embed_table
from hardneg.testing.synthetic import make_data

RECIPE = Static(dim=16, vocab_size=300)


def opened(rule, training, tmp_path):
    pairs = Pairs.of(training)
    rule.ready(training.data, tmp_path)
    rule.open(pairs, tmp_path / "work")
    return pairs, rule.measure(pairs)[:, 0]


def scores_of(rule):
    """Every score, in float64."""
    model = rule.model
    q = embed_table(model.towers, model.queries, QUERY, "32-true", "q").double()
    return (q @ embed_table(model.towers, model.docs, DOCUMENT, "32-true", "d").double().T).numpy()


def ranked_by_hand(rule, pairs, sample):
    """The rank of each pair's document among the sample's, those left out that are known to be relevant."""
    scores, ranks = scores_of(rule), []
    for query, doc in zip(pairs.queries.tolist(), pairs.docs.tolist(), strict=True):
        others = np.setdiff1d(sample, pairs.training.excluded[query])
        ranks.append(1 + int((scores[query, others] > scores[query, doc] + 1e-7).sum()))
    return ranks


@pytest.fixture
def small_pieces(monkeypatch, tmp_path):
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(embedding_blocks, "SIZE", 16)
    monkeypatch.setattr(consistency, "QUERIES", 7)
    monkeypatch.setattr(consistency, "DOCS", 5)


@pytest.mark.parametrize("held", [0, 2**30], ids=["read again", "held"])
def test_ranks_among_all_documents_are_those_of_brute_force(tangled, tmp_path, small_pieces, monkeypatch, held):
    monkeypatch.setattr(consistency, "HELD_BYTES", held)
    rule = Consistency(encoder=RECIPE)
    pairs, ranks = opened(rule, TrainingSet(tangled), tmp_path)
    assert ranks.tolist() == ranked_by_hand(rule, pairs, np.arange(len(tangled.corpus)))
    assert len(set(ranks.tolist())) > 3
    assert rule.keep(ranks[:, None]).tolist() == (ranks <= 2).tolist()


def test_a_sample_is_drawn_by_its_seed_and_a_document_outside_it_is_ranked_too(toy, tmp_path, small_pieces):
    found = {}
    for seed in (0, 1):
        rule = Consistency(encoder=RECIPE, sample=40, seed=seed)
        pairs, found[seed] = opened(rule, TrainingSet(toy), tmp_path)
        sample = np.random.default_rng((seed, 0)).choice(len(toy.corpus), 40, replace=False)
        assert found[seed].tolist() == ranked_by_hand(rule, pairs, sample)
        assert len(np.setdiff1d(pairs.docs, sample))
    assert found[0].tolist() != found[1].tolist()


def test_a_pair_of_a_copy_and_a_query_that_is_a_document_stand_in_nobodys_way(tmp_path, small_pieces):
    # Query 0 has two positives, one of which has a copy; query 1 is document 4 itself.
    docs = ["red fox", "red wolf", "red fox", "blue whale", "blue sea"]
    data = make_data([(0, 0), (0, 1), (1, 3)], docs=docs, queries=["red fox", "blue sea"])
    data = replace(data, own=np.array([-1, 4], np.int32))
    pairs, ranks = opened(Consistency(encoder=RECIPE), TrainingSet(data), tmp_path)
    assert pairs.queries.tolist() == [0, 0, 1]
    assert ranks.tolist() == ranked_by_hand_over(data, pairs, tmp_path)


def ranked_by_hand_over(data, pairs, tmp_path):
    rule = Consistency(encoder=RECIPE)
    rule.ready(data, tmp_path)
    scores = scores_of(rule)
    rivals = {0: [3, 4], 1: [0, 1, 2]}
    found = zip(pairs.queries.tolist(), pairs.docs.tolist(), strict=True)
    return [1 + int((scores[query, rivals[query]] > scores[query, doc]).sum()) for query, doc in found]


def test_documents_of_one_vector_stand_in_nobodys_way(tmp_path):
    """Whatever is cut off they are the same to the encoder, and their scores are equal but for rounding."""
    docs = [f"red fox and blue whale {row}" for row in range(40)]
    data = make_data([(row, row) for row in range(40)], docs=docs, queries=[f"q{row} sea" for row in range(40)])
    recipe = replace(RECIPE, dim=64, document=Side("", 4))
    for normalize in (True, False):
        _, ranks = opened(Consistency(encoder=replace(recipe, normalize=normalize)), TrainingSet(data), tmp_path)
        assert ranks.tolist() == [1] * 40


def test_of_several_sets_each_pair_is_ranked_among_its_own(toy, tmp_path, small_pieces):
    small = make_data([(0, 0), (1, 1)], docs=5, queries=2)
    mixed = TrainingSet(mix(a=toy, b=small).load())
    rule = Consistency(encoder=RECIPE)
    pairs, ranks = opened(rule, mixed, tmp_path)
    for part, here in mixed.data.by_part(pairs.queries):
        sample = np.arange(part.docs.start, part.docs.stop)
        assert ranks[here].tolist() == ranked_by_hand(rule, pairs.take(here), sample)


def test_the_score_is_the_cosine(toy, tmp_path):
    rule = Score(low=0.1, high=0.5, encoder=replace(RECIPE, normalize=False))
    pairs, cosines = opened(rule, TrainingSet(toy), tmp_path)
    model = rule.model
    q = embed_table(model.towers, model.queries, QUERY, "32-true", "q").double().numpy()[pairs.queries]
    d = embed_table(model.towers, model.docs, DOCUMENT, "32-true", "d").double().numpy()[pairs.docs]
    wanted = (q * d).sum(1) / np.linalg.norm(q, axis=1) / np.linalg.norm(d, axis=1)
    np.testing.assert_allclose(cosines, wanted, atol=1e-6)
    assert rule.keep(cosines[:, None]).tolist() == ((cosines >= 0.1) & (cosines <= 0.5)).tolist()
    assert rule.told(cosines[:1]) == f"cosine {wanted[0]:.3f}"
