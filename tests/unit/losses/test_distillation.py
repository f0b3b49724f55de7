"""MarginMSE and KL by hand; what the teacher does not know is unknown, not irrelevant."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.cosent import CoSENT
from hardneg.losses.kl import KL
from hardneg.losses.m3_kd import M3KD
from hardneg.losses.margin_mse import MarginMSE
from hardneg.testing.synthetic import make_candidates

NAN = math.nan
SCORES = torch.tensor([[0.9, 0.4, 0.2, 0.7]])


def with_teacher(teacher, scores=SCORES, **more):
    return make_candidates(scores, teacher=torch.tensor(teacher), **more)


def test_margin_mse_by_hand():
    c = with_teacher([[5.0, 4.0, 1.0, NAN]])  # leads 0.5 against 1 and 0.7 against 4; the last is unknown
    assert MarginMSE()(c).item() == pytest.approx((0.5**2 + 3.3**2) / 2)
    assert MarginMSE(scale=2.0)(c).item() == pytest.approx((0.0**2 + 2.6**2) / 2)


def test_margin_mse_is_that_of_torch():
    rng = torch.Generator().manual_seed(0)
    scores, teacher = (torch.randn(5, 4, generator=rng) for _ in range(2))
    lead, wanted = (x[:, :1] - x[:, 1:] for x in (scores, teacher))
    expected = F.mse_loss(lead, wanted, reduction="none").mean(dim=1)
    torch.testing.assert_close(MarginMSE()(make_candidates(scores, teacher=teacher)), expected)


@pytest.mark.parametrize("teacher", [[[NAN, 4.0, 1.0, 2.0]], [[5.0, NAN, NAN, NAN]], [[NAN] * 4]])
def test_without_a_known_pair_there_is_no_margin(teacher):
    scores = SCORES.clone().requires_grad_()
    value = MarginMSE()(with_teacher(teacher, scores))
    assert value.item() == 0 and not torch.autograd.grad(value.sum(), scores)[0].any()


def test_several_positives_count_by_their_mean():
    c = with_teacher([[5.0, 3.0, 1.0, NAN]], positive=torch.tensor([[True, True, False, False]]))
    assert MarginMSE()(c).item() == pytest.approx(((0.65 - 0.2) - (4.0 - 1.0)) ** 2)


@pytest.mark.parametrize("loss", [MarginMSE(), KL()])
def test_a_padded_positive_is_as_if_absent(loss):
    scores, teacher = torch.tensor([[0.9, 7.0, 0.4, 0.2]]), torch.tensor([[5.0, NAN, 4.0, 1.0]])
    c = make_candidates(scores, valid=[[True, False, True, True]], teacher=teacher)
    alone = make_candidates(scores[:, [0, 2, 3]], teacher=teacher[:, [0, 2, 3]])
    torch.testing.assert_close(loss(c), loss(alone))


def test_kl_weighs_several_positives_by_the_teacher():
    c = with_teacher([[2.0, 1.0, 0.0, NAN]], positive=torch.tensor([[True, True, False, False]]))
    p = torch.tensor([2.0, 1.0, 0.0]).softmax(0)
    s = (SCORES[0, :3] / 0.05).log_softmax(0)
    assert KL()(c).item() == pytest.approx(float((p * (p.log() - s)).sum()), rel=1e-5)


def test_kl_by_hand():
    c = with_teacher([[2.0, NAN, 0.0, 1.0]])
    known = [0, 2, 3]
    p = torch.tensor([2.0, 0.0, 1.0]).div(2.0).softmax(0)
    s = (SCORES[0, known] / 0.1).log_softmax(0)
    assert KL(0.1, 2.0)(c).item() == pytest.approx(float((p * (p.log() - s)).sum()), rel=1e-5)


def test_kl_is_that_of_torch():
    rng = torch.Generator().manual_seed(0)
    scores, teacher = (torch.randn(5, 4, generator=rng) for _ in range(2))
    expected = F.kl_div(
        (scores / 0.05).log_softmax(1), (teacher / 2).log_softmax(1), log_target=True, reduction="none"
    ).sum(1)
    torch.testing.assert_close(KL(0.05, 2.0)(make_candidates(scores, teacher=teacher)), expected)


def test_kl_is_zero_where_student_and_teacher_agree_and_where_nothing_is_known():
    assert KL(0.1, 1.0)(with_teacher((SCORES * 10).tolist())).item() == pytest.approx(0, abs=1e-6)
    for teacher in ([[NAN] * 4], [[3.0, NAN, NAN, NAN]]):
        scores = SCORES.clone().requires_grad_()
        value = KL()(with_teacher(teacher, scores))
        assert value.item() == 0 and not torch.autograd.grad(value.sum(), scores)[0].any()


@pytest.mark.parametrize("loss", [MarginMSE(), KL(), M3KD(), CoSENT()])
def test_a_batch_without_scores_is_no_batch_to_learn_nothing_from(loss):
    """A run without them is refused (`training.teacher_scores`): a loss of 0 would hide a source that lost them."""
    with pytest.raises(AssertionError, match="has teacher scores"):
        loss(make_candidates(SCORES))


@pytest.mark.parametrize(
    ("loss", "wrong"), [(MarginMSE, {"scale": 0.0}), (KL, {"temperature": 0.0}), (KL, {"teacher_temperature": -1.0})]
)
def test_wrong_arguments_are_refused_by_name(loss, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        loss(**wrong)
