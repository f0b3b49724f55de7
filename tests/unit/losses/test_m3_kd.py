"""BGE-M3's distillation against FlagEmbedding's loop written out; what the teacher does not know is unknown."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.m3_kd import M3KD
from hardneg.testing.synthetic import make_candidates

NAN = math.nan


def written_out(scores, teacher, temperature):
    """One cross-entropy a scored document, over the whole row but those that had their turn (m3_kd_loss)."""
    group = teacher.shape[1]
    weights, left = teacher.softmax(dim=1), scores / temperature
    total = torch.zeros(len(scores))
    for i in range(group):
        total = total + weights[:, i] * F.cross_entropy(left, torch.full((len(scores),), i), reduction="none")
        gone = torch.arange(scores.shape[1]) == i
        left = left.masked_fill(gone, torch.finfo(left.dtype).min)
    return total


def test_it_is_that_of_flag_embedding():
    rng = torch.Generator().manual_seed(0)
    scores = (torch.rand(5, 9, generator=rng) * 2 - 1).requires_grad_()
    teacher = torch.randn(5, 4, generator=rng).sort(dim=1, descending=True).values
    padded = torch.cat([teacher, torch.full((5, 5), NAN)], dim=1)  # five in-batch documents
    ours = M3KD(temperature=0.1)(make_candidates(scores, teacher=padded))
    theirs = written_out(scores, teacher, 0.1)
    torch.testing.assert_close(ours, theirs)
    for mine, wanted in zip(*(torch.autograd.grad(x.sum(), scores) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, wanted)


def test_by_hand_in_the_teachers_order():
    c = make_candidates([[0.2, 0.6, 0.4]], teacher=torch.tensor([[0.0, math.log(3), NAN]]))
    e = [math.exp(x) for x in (0.2, 0.6, 0.4)]
    expected = 0.75 * math.log(sum(e) / e[1]) + 0.25 * math.log((e[0] + e[2]) / e[0])
    assert M3KD(temperature=1.0)(c).item() == pytest.approx(expected, rel=1e-6)


def test_of_a_positive_alone_it_is_infonce():
    scores = torch.rand(4, 6)
    teacher = torch.full((4, 6), NAN)
    teacher[:, 0] = 3.0
    c = make_candidates(scores, teacher=teacher)
    torch.testing.assert_close(M3KD()(c), InfoNCE(temperature=0.05)(c))


@pytest.mark.parametrize("teacher", [[[NAN, 4.0, 1.0, 2.0]], [[NAN] * 4]])
def test_without_a_scored_positive_there_is_no_loss(teacher):
    scores = torch.tensor([[0.9, 0.4, 0.2, 0.7]], requires_grad=True)
    value = M3KD()(make_candidates(scores, teacher=torch.tensor(teacher)))
    assert value.item() == 0 and not torch.autograd.grad(value.sum(), scores)[0].any()


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"teacher_temperature": -1.0}])
def test_wrong_arguments_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        M3KD(**wrong)
