"""A loss counts the queries of the data sets it names; others have no loss and give no gradient."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.losses.bce import BCE
from hardneg.losses.cosent import CoSENT
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.kl import KL
from hardneg.losses.margin_mse import MarginMSE
from hardneg.losses.ranknet import RankNet
from hardneg.losses.triplet import Triplet
from hardneg.testing.synthetic import make_candidates

SETS = {"web": range(3), "faq": range(3, 5), "sts": range(5, 9)}
ROWS = [4, 0, 7, 8]  # faq, web, sts, sts


def rows(which=(0, 1, 2, 3)):
    which = list(which)
    scores = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    teacher = torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) * 8
    asked = torch.tensor(ROWS)[which]
    return make_candidates(scores[which].requires_grad_(), teacher=teacher[which], query_ids=asked)


def of(kind, *sets):
    loss = kind(sets=list(sets))
    loss.over(SETS)
    return loss


@pytest.mark.parametrize("kind", [InfoNCE, Triplet, RankNet, BCE, KL, MarginMSE, CoSENT])
@pytest.mark.parametrize(("sets", "here"), [(["sts"], [2, 3]), (["web", "faq"], [0, 1])])
def test_rows_of_other_sets_are_as_if_absent(kind, sets, here):
    c = rows()
    value = of(kind, *sets)(c)
    others = [row for row in range(4) if row not in here]
    torch.testing.assert_close(value[here], kind()(rows(here)))
    assert (value[others] == 0).all()
    (gradient,) = torch.autograd.grad(value.sum(), c.scores)
    assert (gradient[others] == 0).all() and gradient.isfinite().all()


def test_losses_of_different_sets_add_up_to_one_of_all():
    parts = of(InfoNCE, "web")(rows()) + of(InfoNCE, "faq", "sts")(rows())
    torch.testing.assert_close(parts, InfoNCE()(rows()))


def test_where_sets_lie_is_no_part_of_a_checkpoint():
    assert of(Triplet, "web").state_dict() == {}


def test_a_list_is_asked_for():
    with pytest.raises(ConfigError, match="sets is a list of data sets"):
        InfoNCE(sets="web")
