"""The training set: its queries, and all that is known to be relevant to each."""

from __future__ import annotations

import pytest

from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.testing.synthetic import make_data, make_training


def known(training):
    return [training.known[row].tolist() for row in range(len(training.data.queries))]


def test_queries_are_those_of_the_split_with_a_relevant_document():
    data = make_data([(2, 1), (0, 3, 0)], dev=[(1, 1)])
    assert TrainingSet(data).queries.tolist() == [2]
    assert TrainingSet(data, "dev").queries.tolist() == [1]


def test_positives_are_the_labels_and_known_holds_all_documents_of_the_same_text():
    training = make_training([(0, 0), (1, 3)], docs=["a", "b", " a", "c", "a\n"], queries=2)
    assert [training.positives[row].tolist() for row in (0, 1)] == [[0], [3]]
    assert known(training) == [[0, 2, 4], [3]]


def test_queries_of_the_same_text_know_each_others_positives():
    training = make_training([(0, 0), (2, 1)], docs=3, queries=["ask", "other", "ask "])
    assert known(training) == [[0, 1], [], [0, 1]]


def test_both_at_once():
    training = make_training([(0, 0), (1, 2)], docs=["x", "x", "y", "y", "z"], queries=["ask", "ask", "ask"])
    assert known(training) == [[0, 1, 2, 3]] * 3, "also for a query without labels of its own"


def test_judged_and_found_not_relevant_is_not_known_to_be_relevant():
    assert known(make_training([(0, 0), (0, 1, 0), (0, 2, -1)], queries=1)) == [[0]]


def test_a_split_without_relevant_documents_is_refused():
    with pytest.raises(DataError, match="split 'train' of 'tiny' holds no query with a relevant document"):
        make_training([(0, 0, 0)])


def test_the_fingerprint_sees_labels_corpus_and_queries():
    base = make_training([(0, 0), (1, 1)])
    others = [
        make_training([(0, 0), (1, 2)]),
        make_training([(0, 0)]),
        make_training([(0, 0), (1, 1)], docs=11),
        make_training([(0, 0), (1, 1)], queries=4),
    ]
    assert base.fingerprint == make_training([(1, 1), (0, 0)]).fingerprint
    assert base.fingerprint not in [other.fingerprint for other in others]


def test_a_set_whose_documents_are_all_positives_leaves_no_negative():
    assert make_training([(0, 0), (1, 1)], docs=["a", " a"], queries=2).leaves_no_negative
    assert not make_training([(0, 0), (1, 1)], docs=["a", "b"], queries=2).leaves_no_negative
    assert make_training([(0, 0), (0, 1)], docs=["a", "b"], queries=1).leaves_no_negative
    assert not make_training([(0, 0), (0, 1), (1, 0)], docs=["a", "b"], queries=2).leaves_no_negative
