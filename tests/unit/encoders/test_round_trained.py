"""Weights in bfloat16: of what is trained, not of a tower that follows it slowly or stays as it is."""

from __future__ import annotations

import torch

from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers


def made(toy, **settings):
    recipe = Static(dim=8, vocab_size=300, **settings)
    return Towers(recipe, recipe.build(recipe.tokenizer(toy.corpus)))


def types(module):
    return {p.dtype for p in module.parameters()}


def test_a_slow_tower_moves_by_less_than_a_step_of_bfloat16(toy):
    towers = made(toy, momentum=0.999)
    towers.round_trained(torch.bfloat16)
    assert types(towers.tower(QUERY)) == {torch.bfloat16} and types(towers.slow) == {torch.float32}
    for weight in (*towers.slow.parameters(), *towers.tower(QUERY).parameters()):
        weight.data.fill_(1.0)
    for weight in towers.tower(QUERY).parameters():
        weight.data.fill_(1.5)
    for _ in range(10):
        towers.follow()
    wanted = torch.tensor(1.5 - 0.5 * 0.999**10)
    assert all(torch.allclose(p, wanted.expand_as(p)) for p in towers.slow.parameters())


def test_a_frozen_tower_keeps_its_weights_and_both_of_two_trained_ones_are_rounded(toy):
    towers = made(toy, freeze="document")
    before = {name: weight.clone() for name, weight in towers.tower(DOCUMENT).state_dict().items()}
    towers.round_trained(torch.bfloat16)
    assert types(towers.tower(QUERY)) == {torch.bfloat16}
    assert all(torch.equal(weight, before[name]) for name, weight in towers.tower(DOCUMENT).state_dict().items())
    both = made(toy, separate=True)
    both.round_trained(torch.bfloat16)
    assert types(both) == {torch.bfloat16}


def test_a_frozen_tower_that_shares_its_weights_keeps_them(toy):
    towers = made(toy, freeze="document")
    for name, weight in towers.tower(QUERY).named_parameters():  # as under adapters
        owner, _, last = name.rpartition(".")
        setattr(towers.tower(DOCUMENT).get_submodule(owner), last, weight)
    towers.round_trained(torch.bfloat16)
    assert types(towers.tower(QUERY)) == {torch.bfloat16} and types(towers.tower(DOCUMENT)) == {torch.float32}
