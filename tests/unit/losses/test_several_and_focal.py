"""Several positives together, and focal weights: both against their formulas."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.testing.synthetic import make_candidates


def rows():
    scores = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    positive = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]], dtype=torch.bool)
    valid = torch.ones(3, 6, dtype=torch.bool)
    valid[:, 5] = False
    return make_candidates(scores, positive, valid)


def test_pairs_of_all_positives_and_negatives():
    c, expected = rows(), []
    for score, is_positive, valid in zip(c.scores, c.positive, c.valid, strict=True):
        pairs = [torch.exp((n - p) / 0.1) for p in score[is_positive] for n in score[valid & ~is_positive]]
        expected.append(torch.log(1 + torch.stack(pairs).sum()))
    value, expected = InfoNCE(0.1, several="lse_pair")(c), torch.stack(expected)
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(x.sum(), c.scores, retain_graph=True) for x in (value, expected))
    torch.testing.assert_close(ours, theirs)


def test_of_one_positive_both_are_the_same():
    c = make_candidates(torch.rand(3, 5))
    torch.testing.assert_close(InfoNCE(several="lse_pair")(c), InfoNCE()(c))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_weights_are_of_what_is_not_learned_yet(gamma):
    scores = torch.rand(4, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    p = (scores / 0.1).softmax(dim=1)[:, 0]
    expected, value = -((1 - p) ** gamma) * p.log(), InfoNCE(0.1, focal=gamma)(make_candidates(scores))
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(x.sum(), scores, retain_graph=True) for x in (value, expected))
    torch.testing.assert_close(ours, theirs)


def test_a_row_that_is_learned_has_a_finite_gradient():
    scores = torch.tensor([[1.0, -1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(InfoNCE(0.001, focal=0.5)(make_candidates(scores)).sum(), scores)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("wrong", [{"several": "all"}, {"focal": -1.0}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        InfoNCE(**wrong)
