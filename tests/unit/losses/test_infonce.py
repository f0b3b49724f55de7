"""InfoNCE against torch's cross-entropy, CLIP's formula and numbers by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from hardneg.errors import ConfigError
from hardneg.losses.infonce import LOWEST_TEMPERATURE, InfoNCE
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.reverse import all_queries, reverse
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch, make_candidates, random_units


def in_batch(q, d, batch, symmetric=False):
    c = Candidates.own(q, d, batch, ("positive", "drawn", "in_batch"))
    c = c.add(q, InBatch()(q, d, batch), "in_batch")
    return c.with_reverse(reverse(q, d, all_queries(q, batch), batch)) if symmetric else c


def test_a_number_by_hand():
    c = make_candidates([[1.0, 0.5, 0.0]])
    expected = -math.log(math.exp(2) / (math.exp(2) + math.exp(1) + math.exp(0)))
    assert InfoNCE(temperature=0.5)(c).item() == pytest.approx(expected, rel=1e-6)


def test_it_is_the_cross_entropy_of_the_positive():
    scores = torch.rand(5, 8) * 2 - 1
    expected = F.cross_entropy(scores / 0.05, torch.zeros(5, dtype=torch.long), reduction="none")
    torch.testing.assert_close(InfoNCE()(make_candidates(scores)), expected)


def test_masked_columns_are_as_if_absent():
    scores = torch.rand(4, 6)
    valid = torch.tensor([True, True, False, True, False, True]).repeat(4, 1)
    torch.testing.assert_close(
        InfoNCE()(make_candidates(scores, valid=valid)), InfoNCE()(make_candidates(scores[:, [0, 1, 3, 5]]))
    )


def test_several_positives_count_one_by_one_against_the_negatives_only():
    both = make_candidates([[0.9, 0.3, 0.1]], [[True, True, False]])
    alone = [InfoNCE()(make_candidates([[score, 0.1]])).item() for score in (0.9, 0.3)]
    assert InfoNCE()(both).item() == pytest.approx(sum(alone) / 2)
    padded = make_candidates([[0.9, 7.0, 0.1]], [[True, False, False]], [[True, False, True]])
    assert InfoNCE()(padded).item() == pytest.approx(alone[0])


@pytest.mark.parametrize("slots", [1, 3])
def test_symmetric_is_clip_with_the_drawn_negatives_in_one_direction(slots):
    q, d = random_units(6, 8), random_units(6, slots, 8, seed=1)
    c = in_batch(q, d, make_batch(torch.arange(6 * slots).reshape(6, slots)), symmetric=True)
    here = torch.arange(6)
    one = F.cross_entropy(q @ d.flatten(0, 1).T / 0.05, here * slots, reduction="none")
    other = F.cross_entropy(d[:, 0] @ q.T / 0.05, here, reduction="none")
    torch.testing.assert_close(InfoNCE(symmetric=True)(c), (one + other) / 2)
    torch.testing.assert_close(InfoNCE()(c), one)


def test_symmetric_with_several_positives_pair_by_pair():
    """Row 1 has one positive of two slots; each pair is a cross-entropy of its own in either direction."""
    q, d = random_units(3, 8), random_units(3, 3, 8, seed=1)
    batch = make_batch([[0, 1, 2], [3, -1, 4], [5, 6, 7]], positives=2)
    c = in_batch(q, d, batch, symmetric=True)
    expected = []
    for row, slots in enumerate([(0, 1), (0,), (0, 1)]):
        others = [d[r, s] for r in range(3) for s in range(3) if r != row and (r, s) != (1, 1)]
        pairs = []
        for slot in slots:
            there = torch.stack([d[row, slot], d[row, 2], *others]) @ q[row] / 0.05
            back = torch.stack([q[row], *(q[r] for r in range(3) if r != row)]) @ d[row, slot] / 0.05
            pairs.append((-there.log_softmax(0)[0] - back.log_softmax(0)[0]) / 2)
        expected.append(torch.stack(pairs).mean())
    value = InfoNCE(symmetric=True)(c)
    torch.testing.assert_close(value, torch.stack(expected))
    ours, theirs = (torch.autograd.grad(x.sum(), d, retain_graph=True)[0] for x in (value, torch.stack(expected)))
    torch.testing.assert_close(ours, theirs)
    assert not ours[1, 1].any(), "padding gets a gradient"


def test_a_learned_temperature_is_state_and_gets_a_gradient():
    loss = InfoNCE(temperature=0.1, learn_temperature=True)
    assert loss.state_dict()["log_temperature"].item() == pytest.approx(math.log(0.1))
    loss(make_candidates(torch.rand(4, 5))).mean().backward()
    assert loss.log_temperature.grad.abs() > 0
    assert loss.learned()["temperature"].item() == pytest.approx(0.1)


def test_a_fixed_temperature_is_not_trained():
    loss = InfoNCE()
    assert not [p for p in loss.parameters() if p.requires_grad] and loss.learned() == {}


def test_only_a_learned_temperature_is_held_above_its_bound():
    assert InfoNCE(temperature=0.001).temperature.item() == pytest.approx(0.001)
    learned = InfoNCE(temperature=0.05, learn_temperature=True)
    with torch.no_grad():
        learned.log_temperature.fill_(-20.0)
    assert learned.temperature.item() == pytest.approx(LOWEST_TEMPERATURE)


def test_scores_of_dot_products_do_not_overflow():
    c = make_candidates(torch.tensor([[300.0, 900.0], [900.0, 300.0]], requires_grad=True))
    loss = InfoNCE(temperature=0.01)(c)
    assert loss.isfinite().all()
    assert torch.autograd.grad(loss.sum(), c.scores)[0].isfinite().all()


def test_hardness_weighs_negatives_by_hand():
    c = make_candidates([[0.9, 0.5, -0.2]])
    negatives = math.exp(2 * 0.5) * math.exp(0.5 / 0.5) + math.exp(2 * -0.2) * math.exp(-0.2 / 0.5)
    expected = -math.log(math.exp(0.9 / 0.5) / (math.exp(0.9 / 0.5) + negatives))
    assert InfoNCE(temperature=0.5, hardness=2.0)(c).item() == pytest.approx(expected, rel=1e-6)


def test_no_hardness_is_plain_infonce():
    c = make_candidates(torch.rand(4, 6) * 2 - 1)
    assert torch.equal(InfoNCE(hardness=0.0)(c), InfoNCE()(c))


def test_hardness_of_named_sources_leaves_the_others_alone():
    source, names = [[0, 1, 2]], ("positive", "bm25", "in_batch")
    c = make_candidates([[0.9, 0.5, 0.5]], source=source, names=names)
    both, one = (InfoNCE(temperature=0.5, hardness=2.0, hardness_sources=s)(c).item() for s in (None, ["bm25"]))
    weight = math.exp(2 * 0.5)
    for loss, negatives in ((both, 2 * weight), (one, weight + 1)):
        assert loss == pytest.approx(math.log1p(negatives * math.exp(-0.4 / 0.5)), rel=1e-5)


def test_the_weight_has_no_gradient():
    """The gradient is that of a softmax whose weights are constants."""
    scores = (torch.rand(3, 5) * 2 - 1).requires_grad_()
    weights = (4.0 * scores[:, 1:]).exp().detach()
    (ours,) = torch.autograd.grad(InfoNCE(temperature=0.1, hardness=4.0)(make_candidates(scores)).sum(), scores)
    exps = (scores / 0.1).exp()
    written_out = -(exps[:, 0] / (exps[:, 0] + (weights * exps[:, 1:]).sum(dim=1))).log()
    (expected,) = torch.autograd.grad(written_out.sum(), scores)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("mode", "sources"),
    [("all_negatives", None), ("hard_negatives", ["drawn"]), ("in_batch_negatives", ["in_batch"])],
)
def test_hardness_is_that_of_sentence_transformers(mode, sources):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    theirs = losses.MultipleNegativesRankingLoss(None, hardness_mode=mode, hardness_strength=5.0)
    q, d = random_units(6, 8), random_units(6, 3, 8, seed=1)
    c = in_batch(q, d, make_batch(torch.arange(18).reshape(6, 3)))
    expected = theirs.compute_loss_from_embeddings([q, *d.unbind(dim=1)], None)
    torch.testing.assert_close(InfoNCE(hardness=5.0, hardness_sources=sources)(c).mean(), expected)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"hardness": -1.0}, "hardness"), ({"hardness_sources": ["bm25"]}, "needs a hardness above 0")],
)
def test_hardness_that_cannot_be_is_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        InfoNCE(**given)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_the_temperature_must_be_positive(temperature):
    with pytest.raises(ConfigError, match="temperature"):
        InfoNCE(temperature=temperature)
