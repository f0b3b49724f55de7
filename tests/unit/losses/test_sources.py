"""A loss sees the sources it names: the positives and those columns, whatever the loss is."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.bce import BCE
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.kl import KL
from hardneg.losses.margin_mse import MarginMSE
from hardneg.losses.ranknet import RankNet
from hardneg.losses.triplet import Triplet
from hardneg.matrix.embedded import Embedded
from hardneg.matrix.sampled_columns import SampledColumns
from hardneg.matrix.telemetry import by_source
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch, make_candidates, random_units

NAMES = ("positive", "mined", "in_batch")
SOURCE = torch.tensor([[0, 1, 1, 2, 2], [0, 1, 1, 2, 2], [0, 1, 1, 2, 2]])


def rows(columns=slice(None), **more):
    """Three rows of a positive, two mined and two in-batch negatives; or some of these columns as all there are."""
    scores = torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    teacher = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) * 8
    return make_candidates(scores[:, columns], source=SOURCE[:, columns], names=NAMES, teacher=teacher[:, columns])


@pytest.mark.parametrize("kind", [InfoNCE, Triplet, RankNet, BCE, KL, MarginMSE])
@pytest.mark.parametrize(("sources", "columns"), [(["mined"], [0, 1, 2]), (["in_batch"], [0, 3, 4])])
def test_other_sources_are_as_if_absent(kind, sources, columns):
    torch.testing.assert_close(kind(sources=sources)(rows()), kind()(rows(columns)))
    torch.testing.assert_close(kind(sources=["mined", "in_batch"])(rows()), kind()(rows()))


def test_a_number_by_hand():
    c = make_candidates([[1.0, 0.5, 0.0]], source=[[0, 1, 2]], names=NAMES)
    found = [InfoNCE(temperature=0.5, sources=[name])(c).item() for name in ("mined", "in_batch")]
    assert found == pytest.approx([math.log(1 + math.exp(-1)), math.log(1 + math.exp(-2))], rel=1e-6)


def test_two_terms_are_those_of_f2llm():
    """utils.py there: cross-entropy over the batch's positives, and over the own positive and the own negatives."""
    q, d = random_units(4, 8), random_units(4, 3, 8, seed=1)
    batch = make_batch(torch.arange(12).reshape(4, 3))
    columns = {"in_batch": InBatch(hard=False)(q, d, batch)}
    c = Embedded(q, d, columns).candidates(batch, NAMES)
    terms = [InfoNCE(sources=[name])(c).mean() for name in ("in_batch", "mined")]
    expected = [
        F.cross_entropy(q @ d[:, 0].T / 0.05, torch.arange(4)),
        F.cross_entropy(torch.einsum("bd,bgd->bg", q, d) / 0.05, torch.zeros(4, dtype=torch.long)),
    ]
    torch.testing.assert_close(terms, expected)
    ours, theirs = (torch.autograd.grad(sum(x), [q, d], retain_graph=True) for x in (terms, expected))
    torch.testing.assert_close(ours, theirs)


def test_of_two_samples_one_that_is_read_alone_is_not_averaged():
    """Two corrected sources count half each; a loss of one of them has it as if the other were not there."""
    names = ("positive", "queue", "in_batch")
    scores, own = torch.rand(2, 3), torch.tensor([[torch.nan, 2.0, 1.0]]).expand(2, 3)
    none = torch.zeros(2, 3, dtype=torch.bool)
    two, one = SampledColumns(own + math.log(2), none, names[1:]), SampledColumns(own[:, :2], none[:, :2], ("queue",))
    both = make_candidates(scores, source=[[0, 1, 2]] * 2, names=names, sampled=two)
    alone = make_candidates(scores[:, :2], source=[[0, 1]] * 2, names=names, sampled=one)
    torch.testing.assert_close(InfoNCE(sources=["queue"])(both), InfoNCE()(alone))
    for loss in (InfoNCE(), InfoNCE(sources=["queue"])):  # and so has its metric
        torch.testing.assert_close(by_source(both, both, [loss])["negatives/queue/loss"], InfoNCE()(alone).mean())


def test_the_metric_of_a_source_is_of_the_losses_that_read_it():
    c = rows()
    hard, easy = Triplet(sources=["mined"]), BCE(sources=["mined"])
    found = by_source(c, c, [hard, easy])
    assert found["negatives/in_batch/loss"].isnan(), "no loss reads it, and positives alone are none of it"
    torch.testing.assert_close(found["negatives/mined/loss"], hard(c).mean() + easy(c).mean())


@pytest.mark.parametrize("sources", ["mined", []])
def test_a_list_is_asked_for(sources):
    with pytest.raises(ConfigError, match="sources is a list of sources of negatives"):
        InfoNCE(sources=sources)
