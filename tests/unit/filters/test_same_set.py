"""Candidates of the query's own data set, by hand."""

from __future__ import annotations

import pytest
import torch
from ready import mix

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.same_set import SameSet
from hardneg.testing.synthetic import make_candidates, make_data

NAMES = ("positive", "bm25", "in_batch", "queue")


@pytest.fixture
def training():
    """Set a: queries 0-2, documents 0-9; set b: queries 3-5, documents 10-14."""
    a, b = make_data([(0, 0), (1, 1)]), make_data([(0, 0)], docs=5)
    return TrainingSet(mix(a=a, b=b).load())


def keep(training, **options):
    """Rows of query 1 (set a) and 3 (set b); columns: the positive, bm25 twice, in_batch, queue twice."""
    rule = SameSet(**options)
    rule.prepare(training)
    ids = torch.tensor([[1, 4, 12, 0, 9, 10], [10, 14, 9, 13, 11, 3]])
    source = torch.tensor([[0, 1, 1, 2, 3, 3]] * 2)
    c = make_candidates(
        torch.zeros(2, 6), ids=ids, source=source, names=NAMES, query_ids=torch.tensor([1, 3]), online=NAMES[2:]
    )
    return c.keep(rule(c, ids[:, :1])).negative.long().tolist()


def test_documents_of_another_set_are_dropped_whatever_their_source(training):
    assert keep(training) == [[0, 1, 0, 1, 1, 0], [0, 1, 0, 1, 1, 0]]


def test_sets_that_go_without_online_sources_keep_what_was_drawn_for_them(training):
    assert keep(training, offline_only=["b"]) == [[0, 1, 0, 1, 1, 0], [0, 1, 0, 0, 0, 0]]
    assert keep(training, offline_only=["a", "b"]) == [[0, 1, 0, 0, 0, 0]] * 2


def test_a_source_is_online_by_how_its_columns_came():
    from hardneg.matrix.candidates import Candidates
    from hardneg.negatives.in_batch import InBatch
    from hardneg.testing.synthetic import make_batch, random_units

    batch = make_batch([[0, 5], [1, 6]])
    q, d = random_units(2, 4), random_units(2, 2, 4, seed=1)
    own = Candidates.own(q, d, batch, NAMES)
    assert own.online == () and own.add(q, InBatch()(q, d, batch), "in_batch").online == ("in_batch",)


def test_names_of_sets_that_there_are_not(training):
    with pytest.raises(ConfigError, match=r"offline_only names c, none of data.sets \(a, b\)"):
        keep(training, offline_only=["c"])
    rule = SameSet(["tiny"])
    with pytest.raises(ConfigError, match="no sets to name but with data=mix"):
        rule.prepare(TrainingSet(make_data([(0, 0)])))
    with pytest.raises(ConfigError, match=r"so write \[code\]"):
        SameSet("code")
