"""CoSENT against its formula written out pair by pair, and what it leaves out."""

from __future__ import annotations

import math

import pytest
import torch

from hardneg.losses.cosent import CoSENT
from hardneg.testing.synthetic import make_candidates, random_units

NAN = math.nan


def by_pairs(scores, grades, temperature=0.05):
    """log(1 + sum over s_i < s_j of exp((cos_i - cos_j) / t)), Su 2022; `scale` of sentence-transformers is 1 / t."""
    some = [(s, g) for s, g in zip(scores.flatten(), grades.flatten().tolist(), strict=True) if not math.isnan(g)]
    terms = [torch.exp((a - b) / temperature) for a, i in some for b, j in some if i < j]
    return torch.log(1 + torch.stack(terms).sum()) if terms else torch.zeros(())


def graded(grades, online=0):
    rows, width = len(grades), len(grades[0]) + online
    scores = torch.rand(rows, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    teacher = torch.cat([torch.tensor(grades), torch.full((rows, online), NAN)], dim=1)
    return make_candidates(scores, teacher=teacher, slots=len(grades[0]))


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize(
    "grades",
    [
        [[5.0], [1.0], [3.5], [1.0]],  # pairs of two sentences: a query and its one document
        [[1.0, 0.2], [0.4, NAN], [NAN, NAN], [0.2, 0.9]],  # with given negatives; some are not graded
    ],
)
def test_it_is_the_formula(grades, temperature):
    c = graded(grades)
    value, expected = CoSENT(temperature)(c), by_pairs(c.scores, c.teacher, temperature)
    torch.testing.assert_close(value, expected.expand(len(grades)))
    ours, theirs = (torch.autograd.grad(x, c.scores, retain_graph=True) for x in (value.mean(), expected))
    torch.testing.assert_close(ours, theirs)


def test_it_is_that_of_sentence_transformers():
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    q, d = random_units(5, 4), random_units(5, 1, 4, seed=1)
    grades = torch.tensor([5.0, 1.0, 3.5, 1.0, 2.0])
    theirs = losses.CoSENTLoss(None, 20.0, lambda a, b: (a * b).sum(-1))
    expected = theirs.compute_loss_from_embeddings([q, d[:, 0]], grades)
    c = make_candidates(torch.einsum("bd,bgd->bg", q, d), teacher=grades[:, None], slots=1)
    value = CoSENT(0.05)(c).mean()
    torch.testing.assert_close(value, expected)
    for one, two in zip(*(torch.autograd.grad(x, [q, d]) for x in (value, expected)), strict=True):
        torch.testing.assert_close(one, two)


def test_a_number_by_hand():
    c = make_candidates([[0.3], [0.5]], teacher=torch.tensor([[4.0], [2.0]]))
    assert CoSENT(0.1)(c)[0].item() == pytest.approx(math.log(1 + math.exp(2)))


def test_the_batch_is_no_negative():
    alone, batch = graded([[1.0], [0.0], [0.5]]), graded([[1.0], [0.0], [0.5]], online=4)
    assert (torch.autograd.grad(CoSENT()(batch).mean(), batch.scores)[0][:, 1:] == 0).all()
    torch.testing.assert_close(CoSENT()(batch)[0], by_pairs(batch.scores[:, :1], alone.teacher))


@pytest.mark.parametrize("grades", [[[2.0], [2.0]], [[NAN], [NAN]], [[2.0], [NAN]]])
def test_equal_or_unknown_grades_ask_for_nothing(grades):
    c = graded(grades)
    value = CoSENT()(c)
    assert value.tolist() == [0, 0] and (torch.autograd.grad(value.sum(), c.scores)[0] == 0).all()
