"""In-batch negatives, and the other direction of a symmetric loss: which pairs are negatives of each other."""

from __future__ import annotations

import pytest
import torch

from hardneg.filters.known_positives import KnownPositives
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.reverse import all_queries, reverse
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch, random_units


def negatives(source, q, d, batch, *, filtered=True):
    """The ids of each row's in-batch negatives, as the training step would find them."""
    c = Candidates.own(q, d, batch, ("positive", "drawn", "in_batch")).add(q, source(q, d, batch), "in_batch")
    if filtered:
        c = c.keep(KnownPositives()(c, batch.positive_ids))
    added = slice(d.shape[1], None)
    return [sorted(c.ids[row, added][c.negative[row, added]].tolist()) for row in range(len(q))]


@pytest.mark.parametrize(
    ("hard", "expected"),
    [(True, [[7, 8, 9, 10], [5, 6, 9, 10], [5, 6, 7, 8]]), (False, [[7, 9], [5, 9], [5, 7]])],
)
def test_a_row_gets_the_others_documents(hard, expected):
    batch = make_batch([[5, 6], [7, 8], [9, 10]])
    assert negatives(InBatch(hard), random_units(3, 4), random_units(3, 2, 4), batch) == expected


def test_columns_are_documents_in_order_with_gradient():
    q, d = random_units(3, 4), random_units(3, 2, 4)
    columns = InBatch()(q, d, make_batch([[5, 6], [7, 8], [9, 10]]))
    torch.testing.assert_close(columns.emb, d.flatten(0, 1))
    assert columns.ids.tolist() == [5, 6, 7, 8, 9, 10] and columns.owner.tolist() == [0, 0, 1, 1, 2, 2]
    assert columns.emb.requires_grad


@pytest.mark.parametrize(("hard", "expected"), [(True, [[8, 9], [4, 5, 6]]), (False, [[8], [4, 5]])])
def test_of_several_positives_all_are_offered_but_padding_is_not(hard, expected):
    batch = make_batch([[4, 5, 6], [8, -1, 9]], positives=2)
    assert negatives(InBatch(hard), random_units(2, 4), random_units(2, 3, 4), batch) == expected


def test_a_shared_positive_is_no_negative():
    batch = make_batch([[5], [5], [7]])
    assert negatives(InBatch(), random_units(3, 4), random_units(3, 1, 4), batch) == [[7], [7], [5, 5]]


def test_a_positive_known_by_text_is_no_negative():
    batch = make_batch([[5], [7], [9]], positive_ids=[[5, 9], [7, -1], [9, 5]])  # 5 and 9 hold the same text
    assert negatives(InBatch(), random_units(3, 4), random_units(3, 1, 4), batch) == [[7], [5, 9], [7]]


def reverse_negatives(batch):
    """Which queries are negatives of each row's positive document."""
    rows, slots = batch.doc_ids.shape
    q = random_units(rows, 4)
    c = reverse(q, random_units(rows, slots, 4, seed=1), all_queries(q, batch), batch)
    return [sorted(c.ids[row][c.negative[row]].tolist()) for row in range(rows)]


def test_in_the_other_direction_a_document_has_the_others_queries_as_negatives():
    assert reverse_negatives(make_batch([[5, 6], [7, 8], [9, 10]], query_ids=[20, 21, 22])) == [
        [21, 22],
        [20, 22],
        [20, 21],
    ]


def test_the_same_query_met_twice_is_no_negative_of_its_own_documents():
    batch = make_batch([[5], [6], [7]], query_ids=[20, 20, 21], positive_ids=[[5, 6], [5, 6], [7, -1]])
    assert reverse_negatives(batch) == [[21], [21], [20, 20]]


def test_queries_that_share_a_positive_are_no_negatives_of_it():
    assert reverse_negatives(make_batch([[5], [5], [7]], query_ids=[20, 21, 22])) == [[22], [22], [20, 21]]


def test_a_query_that_knows_the_document_by_text_is_no_negative_of_it():
    batch = make_batch([[5], [6]], query_ids=[20, 21], positive_ids=[[5, 6], [6, 5]])
    assert reverse_negatives(batch) == [[], []]


def test_each_of_several_positives_has_the_others_queries_as_negatives():
    """The second query knows document 5 too, and has one positive only."""
    known = [[5, 6], [7, 5], [8, 9]]
    batch = make_batch([[5, 6, 1], [7, -1, 2], [8, 9, 3]], [20, 21, 22], known, positives=2)
    q, d = random_units(3, 4), random_units(3, 3, 4, seed=1)
    c = reverse(q, d, all_queries(q, batch), batch)
    assert c.ids[:, 0].tolist() == [20, 20, 21, -1, 22, 22]
    assert c.positive.any(dim=1).tolist() == [True, True, True, False, True, True]
    found = [sorted(c.ids[row][c.negative[row]].tolist()) for row in (0, 1, 2, 4, 5)]
    assert found == [[22], [21, 22], [20, 22], [20, 21], [20, 21]]
    torch.testing.assert_close(c.scores[:, 1:], d[:, :2].flatten(0, 1) @ q.T)


def test_padding_among_known_positives_matches_nothing():
    batch = make_batch([[5, -1], [6, -1]], query_ids=[20, 21], positive_ids=[[5, -1], [6, -1]])
    assert reverse_negatives(batch) == [[21], [20]]


def test_reverse_scores_are_documents_times_queries_and_slot_0_is_the_own_query():
    q, d = random_units(3, 4), random_units(3, 2, 4, seed=1)
    batch = make_batch([[5, 6], [7, 8], [9, 10]])
    c = reverse(q, d, all_queries(q, batch), batch)
    torch.testing.assert_close(c.scores[:, 0], (q * d[:, 0]).sum(dim=1))
    torch.testing.assert_close(c.scores[:, 1:], d[:, 0] @ q.T)
    assert c.positive.sum() == 3 and c.positive[:, 0].all()
