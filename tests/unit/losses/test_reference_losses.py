"""Losses over a batch against the code of sentence-transformers and formulas of FlagEmbedding, SimLM and ms-swift.

experiments/12_parity holds all peers, through whole models and with their own packages.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hardneg.filters.in_batch_margin import InBatchMargin
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.kl import KL
from hardneg.losses.margin_mse import MarginMSE
from hardneg.losses.ranknet import RankNet
from hardneg.losses.triplet import Triplet
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.embedded import Embedded
from hardneg.matrix.reverse import all_queries
from hardneg.negatives.blocks import Blocks
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch, make_candidates, random_units

ROWS, SLOTS = 6, 4
HERE = torch.arange(ROWS)


@pytest.fixture
def before():
    """Vectors before they are made unit ones: cosines written another way have the same gradient there alone."""
    return 2 * random_units(ROWS, 8).detach(), 3 * random_units(ROWS, SLOTS, 8, seed=1).detach()


@pytest.fixture
def q(before):
    return F.normalize(before[0].requires_grad_(), dim=-1)


@pytest.fixture
def d(before):
    return F.normalize(before[1].requires_grad_(), dim=-1)


@pytest.fixture(scope="module")
def st_losses():
    return pytest.importorskip("sentence_transformers.sentence_transformer.losses")


def candidates(q, d, *sources: str, symmetric: bool = False, teacher=None) -> Candidates:
    batch = make_batch(torch.arange(d.shape[0] * d.shape[1]).reshape(d.shape[:2]), teacher=teacher)
    made = {"in_batch": InBatch(), "blocks": Blocks()}
    columns = {name: made[name](q, d, batch) for name in sources}
    others = all_queries(q, batch) if symmetric else None
    return Embedded(q, d, columns, others).candidates(batch, ("positive", "drawn", *sources))


def same(weights, ours, theirs):
    """Equal in value and in gradient."""
    torch.testing.assert_close(ours, theirs)
    for mine, wanted in zip(*(torch.autograd.grad(x, weights, retain_graph=True) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("symmetric", [False, True])
def test_infonce_is_that_of_sentence_transformers(st_losses, before, q, d, symmetric):
    name = f"MultipleNegatives{'Symmetric' if symmetric else ''}RankingLoss"
    theirs = getattr(st_losses, name)(None).compute_loss_from_embeddings([q, *d.unbind(1)], None)
    same(before, InfoNCE(symmetric=symmetric)(candidates(q, d, "in_batch", symmetric=symmetric)).mean(), theirs)


def test_distillation_is_that_of_sentence_transformers(st_losses, before, q, d):
    cos = pytest.importorskip("sentence_transformers.util").pairwise_cos_sim
    teacher = torch.randn(ROWS, SLOTS, generator=torch.Generator().manual_seed(2))
    c, columns = candidates(q, d, teacher=teacher), [q, *d.unbind(1)]
    same(
        before, MarginMSE()(c).mean(), st_losses.MarginMSELoss(None, cos).compute_loss_from_embeddings(columns, teacher)
    )
    kl = st_losses.DistillKLDivLoss(None, cos, student_temperature=0.5, teacher_temperature=2.0)
    theirs = kl.compute_loss_from_embeddings(columns, teacher) / 0.5**2  # by which theirs is multiplied
    same(before, KL(0.5, 2.0)(c).mean(), theirs)


def test_triplet_is_that_of_sentence_transformers(st_losses, before, q, d):
    loss = st_losses.TripletLoss(None, st_losses.TripletDistanceMetric.COSINE, triplet_margin=0.5)
    theirs = loss.compute_loss_from_embeddings([q, d[:, 0], d[:, 1]], None)
    same(before, Triplet(0.5, "mean")(candidates(q, d[:, :2])).mean(), theirs)


def test_kl_beside_infonce_is_flag_embeddings_kl_div(before, q, d):
    teacher = torch.randn(ROWS, SLOTS, generator=torch.Generator().manual_seed(2))
    c = candidates(q, d, "in_batch", teacher=teacher)
    ours = (KL(0.02)(c) + InfoNCE(0.02)(c)).mean()
    shares, own = teacher.softmax(1), torch.einsum("bd,bgd->bg", q, d) / 0.02
    cross_entropy = -(own.log_softmax(1) * shares).sum(1).mean()
    in_batch = F.cross_entropy(q @ d.flatten(0, 1).T / 0.02, HERE * SLOTS)
    entropy = -(shares * shares.log()).sum(1).mean()
    same(before, ours + entropy, cross_entropy + in_batch)


def test_all_blocks_are_simlms_full_contrastive_loss(before, q, d):
    firsts, apart = d[:, 0], torch.eye(ROWS, dtype=torch.bool)
    blocks = [x.masked_fill(apart, -torch.inf) for x in (firsts @ q.T, q @ q.T, firsts @ firsts.T)]
    theirs = F.cross_entropy(torch.cat([q @ d.flatten(0, 1).T, *blocks], dim=1) / 0.05, HERE * SLOTS)
    same(before, InfoNCE(0.05)(candidates(q, d, "in_batch", "blocks")).mean(), theirs)


def test_the_margin_masks_what_ms_swift_masks(before, q, d):
    scores = q @ d.flatten(0, 1).T
    above = scores > scores[HERE, HERE * SLOTS, None].detach() + 0.1
    assert above.any()
    theirs = F.cross_entropy(scores.masked_fill(above, -torch.inf) / 0.1, HERE * SLOTS)
    c = candidates(q, d, "in_batch")
    kept = c.keep(InBatchMargin(0.1, ["in_batch", "drawn"])(c, torch.empty(ROWS, 0, dtype=torch.long)))
    same(before, InfoNCE(0.1)(kept).mean(), theirs)


def test_ranknet_is_the_pairwise_cross_entropy():
    scores = torch.randn(5, 4, requires_grad=True)
    lead = scores[:, :1] - scores[:, 1:]
    same(
        [scores], RankNet()(make_candidates(scores)).mean(), F.binary_cross_entropy_with_logits(lead, torch.ones(5, 3))
    )
