"""Candidates: the score matrix and what its rows may use as negatives, by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.matrix.candidates import Candidates, Columns
from hardneg.testing.synthetic import make_batch, make_candidates, random_units

NAMES = ("positive", "drawn", "in_batch")


@pytest.fixture
def own():
    q = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    d = torch.tensor([[[1.0, 0.0], [0.6, 0.8]], [[0.0, 1.0], [0.8, 0.6]]])
    return q, Candidates.own(q, d, make_batch([[5, 6], [7, -1]]), NAMES)


def test_own_starts_with_each_rows_documents(own):
    _, c = own
    torch.testing.assert_close(c.scores, torch.tensor([[1.0, 0.6], [1.0, 0.6]]))
    assert c.positive.tolist() == [[True, False], [True, False]]
    assert c.valid.tolist() == [[True, True], [True, False]]  # -1 is padding
    assert c.source.tolist() == [[0, 1], [0, 1]]
    assert c.negative.tolist() == [[False, True], [False, False]]


def test_a_padded_positive_is_no_positive():
    batch = make_batch([[5, 6, 8], [7, -1, 9]], positives=2)
    c = Candidates.own(random_units(2, 4), random_units(2, 3, 4), batch, NAMES)
    assert c.positive.tolist() == [[True, True, False], [True, False, False]]
    assert c.negative.tolist() == [[False, False, True], [False, False, True]]
    assert c.keep(torch.zeros_like(c.valid)).valid.tolist() == c.positive.tolist()
    torch.testing.assert_close(c.lowest_positive[1, 0], c.scores[1, 0])


def test_add_gives_every_row_the_others_columns_but_not_its_own(own):
    q, c = own
    columns = Columns(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [1.0, 1.0]]), torch.tensor([5, 7, 9, -1]),
                      torch.tensor([0, 1, -1, -1]))  # fmt: skip
    grown = c.add(q, columns, "in_batch")
    torch.testing.assert_close(grown.scores[:, 2:], torch.tensor([[1.0, 0.0, 0.6, 1.0], [0.0, 1.0, 0.8, 1.0]]))
    assert grown.valid[:, 2:].tolist() == [[False, True, True, False], [True, False, True, False]]
    assert not grown.positive[:, 2:].any()
    assert (grown.source[:, 2:] == 2).all()
    torch.testing.assert_close(grown.scores[:, :2], c.scores)


def test_owners_are_global_rows(own):
    q, c = own
    columns = Columns(torch.eye(2).repeat(2, 1), torch.arange(4), torch.arange(4))
    valid = [c.add(q, columns, "in_batch", rank).valid[:, 2:].tolist() for rank in (0, 1)]
    assert valid[0] == [[False, True, True, True], [True, False, True, True]]
    assert valid[1] == [[True, True, False, True], [True, True, True, False]]


def test_columns_of_a_source_without_a_teacher_are_unknown_to_it():
    batch = make_batch([[5, 6]], teacher=torch.tensor([[3.0, 1.0]]))
    q, d = random_units(1, 2), random_units(1, 2, 2)
    c = Candidates.own(q, d, batch, NAMES).add(q, Columns(d[0], torch.tensor([8, 9]), torch.tensor([-1, -1])), "drawn")
    assert c.teacher[0, :2].tolist() == [3.0, 1.0] and c.teacher[0, 2:].isnan().all()


def test_keep_drops_negatives_only_and_never_brings_one_back():
    c = make_candidates(torch.rand(1, 4), valid=[[True, True, True, False]])
    kept = c.keep(torch.tensor([[False, False, True, True]]))
    assert kept.valid.tolist() == [[True, False, True, False]]


def test_only_leaves_one_source_and_the_positives():
    c = make_candidates(torch.rand(1, 4), source=[[0, 1, 2, 1]], names=NAMES)
    c = c.with_reverse(c)
    alone = c.only("drawn")
    assert alone.valid.tolist() == [[True, True, False, True]]
    assert alone.reverse is None and c.reverse is not None


def test_the_candidates_of_some_sources_are_marked():
    c = make_candidates(torch.rand(1, 4), source=[[0, 1, 2, 1]], names=NAMES)
    assert c.offered_by(["drawn"]).tolist() == [[name == "drawn" for name in (NAMES[i] for i in (0, 1, 2, 1))]]
    assert c.offered_by(NAMES).all() and not c.offered_by([]).any()


def test_lowest_positive_is_the_worst_placed_one():
    c = make_candidates([[0.9, 0.1, 0.5], [0.2, 0.9, 0.0]], [[True, False, True], [True, False, False]])
    torch.testing.assert_close(c.lowest_positive, torch.tensor([[0.5], [0.2]]))


def test_gradient_reaches_query_and_document_through_own_and_added_columns():
    q, d = random_units(2, 4), random_units(2, 1, 4, seed=1)
    c = Candidates.own(q, d, make_batch([[0], [1]]), NAMES)
    c = c.add(q, Columns(d[:, 0], torch.tensor([0, 1]), torch.tensor([0, 1])), "in_batch")
    gq, gd = torch.autograd.grad(c.scores.masked_fill(~c.valid, 0.0).sum(), [q, d])
    torch.testing.assert_close(gq[0], (d[0, 0] + d[1, 0]).detach())
    torch.testing.assert_close(gd[0, 0], (q[0] + q[1]).detach())
