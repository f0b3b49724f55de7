"""RankNet and binary cross-entropy against numbers by hand and torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.bce import BCE
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.ranknet import RankNet
from hardneg.testing.synthetic import make_candidates


def test_ranknet_by_hand():
    c = make_candidates([[2.0, 1.0, 3.0]])
    expected = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(1.0))) / 2
    assert RankNet()(c).item() == pytest.approx(expected, rel=1e-6)
    assert RankNet(temperature=0.5)(make_candidates([[1.0, 0.5, 1.5]])).item() == pytest.approx(expected, rel=1e-6)


def test_with_one_negative_ranknet_is_infonce():
    c = make_candidates(torch.randn(5, 2))
    torch.testing.assert_close(RankNet()(c), InfoNCE(temperature=1.0)(c))


def test_of_several_positives_ranknet_takes_the_lowest():
    c = make_candidates([[2.0, 0.5, 0.0]], [[True, True, False]])
    assert RankNet()(c).item() == pytest.approx(math.log1p(math.exp(-0.5)), rel=1e-6)


def test_bce_is_torchs_over_what_counts():
    scores = torch.randn(3, 4)
    valid = torch.tensor([[True, True, False, True]]).expand(3, 4)
    c = make_candidates(scores, valid=valid)
    counted = scores[:, [0, 1, 3]]
    labels = torch.tensor([[1.0, 0.0, 0.0]]).expand(3, 3)
    expected = F.binary_cross_entropy_with_logits(counted / 2, labels, reduction="none").mean(dim=1)
    torch.testing.assert_close(BCE(temperature=2.0)(c), expected)


def test_bce_sees_the_level_and_ranknet_does_not():
    low, high = make_candidates([[1.0, -1.0]]), make_candidates([[11.0, 9.0]])
    assert BCE()(high) > 10 * BCE()(low)
    torch.testing.assert_close(RankNet()(high), RankNet()(low))


@pytest.mark.parametrize("loss", [RankNet, BCE])
def test_a_curriculum_may_move_the_temperature(loss):
    changed = loss()
    changed.set_temperature(0.3)
    c = make_candidates(torch.randn(2, 3))
    torch.testing.assert_close(changed(c), loss(temperature=0.3)(c))
    with pytest.raises(ConfigError, match="temperature must be positive"):
        loss(temperature=0.0)
