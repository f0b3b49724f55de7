"""The probe: what is hidden, what comes back, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.rank_window import RankWindow
from hardneg.mining.bm25 import BM25
from hardneg.mining.hidden_positives import hide, probe, share_of
from hardneg.testing.synthetic import make_training

KNOWN = {"known_positives": KnownPositives()}


def test_a_share_of_each_querys_positives_is_hidden_but_never_all():
    training = make_training([(0, 0), (0, 1), (0, 2), (0, 3), (1, 4), (2, 5), (2, 6)])
    hidden = hide(training, 0.5, seed=0)
    assert hidden.pairs.counts.tolist() == [2, 0, 1]
    for query in range(3):
        left, taken = hidden.training.positives[query], hidden.pairs[query]
        assert sorted([*left, *taken]) == training.positives[query].tolist() and len(left)
        assert not np.isin(taken, hidden.training.known[query]).any()
    assert hide(training, 0.9, seed=0).pairs.counts.tolist() == [3, 0, 1]
    assert hide(training, 0.5, seed=0).pairs.values.tolist() == hidden.pairs.values.tolist()


def test_with_one_positive_a_query_nothing_can_be_hidden():
    with pytest.raises(DataError, match="no query of 'tiny' has two positives"):
        hide(make_training([(0, 0), (1, 1)]), 0.5, seed=0)


def test_what_a_copy_keeps_known_is_not_counted_as_hidden(tmp_path):
    """It cannot leak: documents 0 and 1 have one text, and so have queries 1 and 2, which share their positives."""
    docs = ["red red", "red red ", "blue", "blue x", "green", "green y"]
    labels = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 4), (3, 5)]
    training = make_training(labels, docs=docs, queries=["red", "blue", "blue", "green"])
    hidden = hide(training, 0.5, seed=0)
    for query in range(4):
        assert not np.isin(hidden.pairs[query], hidden.training.known[query]).any()
    assert len(hidden.pairs[0]) == 0 and len(hidden.pairs[3]) == 1
    found = probe(BM25(stopwords=None), hidden, {"known_positives": KNOWN}, 6, 6, "all", tmp_path / "work")
    assert found["known_positives"].leaked.value == 1.0
    with pytest.raises(DataError, match="whose texts differ"):
        hide(make_training(labels[:2], docs=docs, queries=1), 0.5, seed=0)


def test_a_generated_set_hides_what_its_labels_do_not_name(toy):
    training = TrainingSet(toy)
    hidden = hide(training, 0.5, seed=0)
    truth = {(q, d) for q, d in zip(toy.truth.relevant.queries, toy.truth.relevant.docs, strict=True)}
    found = {(q, d) for q, d in zip(hidden.pairs.row_ids, hidden.pairs.values, strict=True)}
    assert hidden.training is training and found <= truth and found
    assert not any(np.isin(hidden.pairs[q], training.known[q]).any() for q in training.queries.tolist())


def test_a_generated_set_without_false_negatives_says_which_dial_to_turn():
    training = TrainingSet(Toy(docs=200, queries=60).load())
    with pytest.raises(DataError, match=r"data\.false_negative_rate"):
        hide(training, 0.5, 0)


def test_leaks_are_counted_by_hand(tmp_path):
    """Each query's documents in BM25's order: red red red, red red x, red x x; one of two positives is hidden."""
    docs = ["red red red", "red red x", "red x x", "blue blue y", "blue y y", "z"]
    training = make_training([(0, 0), (0, 1), (1, 3), (1, 4)], docs=docs, queries=["red", "blue"])
    hidden = hide(training, 0.5, seed=0)
    settings = {"known_positives": KNOWN, "window": {**KNOWN, "rank_window": RankWindow(skip=3)}, "none": {}}
    found = probe(BM25(stopwords=None), hidden, settings, 3, 3, "all", tmp_path / "work")
    assert found["known_positives"].leaked.value == 1.0 and found["known_positives"].hidden == 2
    assert found["known_positives"].false_negatives.value == 2 / 3  # red: hidden one and doc 2; blue: the hidden one
    assert found["window"].leaked.value == 0.0 and found["window"].drawable == 0.0
    assert found["none"].false_negatives.value == 2 / 5


def test_the_interval_is_over_queries():
    rng = np.random.default_rng(0)
    part = rng.integers(0, 5, 200)
    few, many = share_of(part[:20], np.full(20, 10)), share_of(part, np.full(200, 10))
    assert few.low < few.value < few.high and few.high - few.low > 2 * (many.high - many.low)
    zero = share_of(np.zeros(100, int), np.full(100, 3))
    assert (zero.value, zero.low) == (0.0, 0.0) and zero.high == pytest.approx(0.01)
    assert share_of(np.full(10, 3), np.full(10, 3)).high == 1.0
