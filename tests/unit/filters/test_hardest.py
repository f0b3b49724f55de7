"""The hardest n of a source's candidates, by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.filters.guide import Guide
from hardneg.filters.hardest import Hardest
from hardneg.filters.in_batch_margin import InBatchMargin
from hardneg.losses.infonce import InfoNCE
from hardneg.testing.synthetic import make_candidates

NAMES = ("positive", "mined", "in_batch")


def kept(rule, c):
    return c.keep(rule(c, c.ids[:, :1])).valid.tolist()


def test_the_hardest_two_of_the_drawn_stay_and_the_batch_is_left_alone():
    c = make_candidates([[0.1, 0.5, 0.3, 0.4, 0.9, 0.2]], source=[[0, 1, 1, 1, 2, 2]], names=NAMES)
    assert kept(Hardest(2, ["mined"]), c) == [[True, True, False, True, True, True]]
    assert kept(Hardest(2), c) == [[True, True, False, False, True, False]]


def test_what_was_dropped_before_takes_no_place_and_short_rows_keep_all():
    valid = [[True, False, True, True], [True, True, False, False]]
    c = make_candidates([[0.0, 0.9, 0.2, 0.3], [0.0, 0.1, 0.8, 0.7]], valid=valid)
    assert kept(Hardest(1), c) == [[True, False, False, True], [True, True, False, False]]
    assert kept(Hardest(9), c) == valid


def test_only_what_counts_gets_a_gradient():
    scores = torch.tensor([[0.5, 0.1, 0.4, 0.3]], requires_grad=True)
    c = make_candidates(scores)
    (gradient,) = torch.autograd.grad(InfoNCE()(c.keep(Hardest(2)(c, c.ids[:, :1]))).sum(), scores)
    assert (gradient != 0).tolist() == [[True, False, True, True]]


def test_none_is_no_number():
    with pytest.raises(ConfigError, match="n must be 1 or more"):
        Hardest(0)


@pytest.mark.parametrize("rule", [Hardest, Guide, InBatchMargin])
def test_a_source_is_named_in_a_list_and_none_is_no_choice(rule):
    with pytest.raises(ConfigError, match=r"sources is a list, so write \[in_batch\]"):
        rule(sources="in_batch")
    with pytest.raises(ConfigError, match="judges nothing"):
        rule(sources=[])
