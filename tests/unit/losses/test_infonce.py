"""InfoNCE against torch's cross-entropy, CLIP's formula and numbers by hand."""

from __future__ import annotations

import math

import pytest
import torch
from synthetic import make_batch, make_candidates, random_units
from torch.nn import functional as F

from hardneg.candidates import Candidates
from hardneg.errors import ConfigError
from hardneg.losses.infonce import LOWEST_TEMPERATURE, InfoNCE
from hardneg.negatives.in_batch import InBatch, reverse


def in_batch(q, d, batch, symmetric=False):
    c = Candidates.own(q, d, batch, ("positive", "drawn", "in_batch"))
    c = c.add(q, InBatch()(q, d, batch), "in_batch")
    return c.with_reverse(reverse(q, d, batch)) if symmetric else c


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


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_the_temperature_must_be_positive(temperature):
    with pytest.raises(ConfigError, match="temperature"):
        InfoNCE(temperature=temperature)
