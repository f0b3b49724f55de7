"""Triplet: each reduction by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.losses.triplet import Triplet
from hardneg.testing.synthetic import make_candidates

# the leads of the positive are 0.1, 0.3 and -0.2, so with margin 0.2 the hinges are 0.1, 0 and 0.4
SCORES = torch.tensor([[0.5, 0.4, 0.2, 0.7]])


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 0.5 / 3), ("violating", 0.25), ("hardest", 0.4)])
def test_each_reduction(reduction, expected):
    assert Triplet(0.2, reduction)(make_candidates(SCORES)).item() == pytest.approx(expected)


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 0.05), ("violating", 0.1), ("hardest", 0.1)])
def test_masked_negatives_do_not_count(reduction, expected):
    c = make_candidates(SCORES, valid=[[True, True, True, False]])
    assert Triplet(0.2, reduction)(c).item() == pytest.approx(expected)


def test_of_several_positives_the_lowest_counts():
    c = make_candidates(SCORES, [[True, True, False, False]])
    assert Triplet(0.2, "hardest")(c).item() == pytest.approx(0.2 - 0.4 + 0.7)


def test_a_padded_positive_does_not_count():
    padded = torch.tensor([[0.5, 0.0, 0.4]])  # its slot scores below everything
    c = make_candidates(padded, [[True, False, False]], [[True, False, True]])
    assert Triplet(0.2, "mean")(c).item() == pytest.approx(0.1)


def test_no_violation_is_no_loss_and_no_gradient():
    c = make_candidates(torch.tensor([[0.9, 0.1]], requires_grad=True))
    loss = Triplet()(c)
    assert loss.item() == 0 and not torch.autograd.grad(loss.sum(), c.scores)[0].any()


@pytest.mark.parametrize("wrong", [{"margin": 0.0}, {"margin": -0.2}, {"reduction": "median"}])
def test_wrong_arguments_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=f"loss.triplet.{next(iter(wrong))}"):
        Triplet(**wrong)
