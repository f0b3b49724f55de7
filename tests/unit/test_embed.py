"""Encoding in parts: the same vectors, and no part above its budget."""

from __future__ import annotations

import pytest
import torch

from hardneg.embed import encode, parts
from hardneg.encoders.base import Tower
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer

LENGTHS = torch.tensor([3, 9, 1, 4, 9, 2, 7, 1, 1, 5])


@pytest.mark.parametrize("budget", [1, 9, 10, 18, 30, 1000, None])
def test_parts_hold_every_row_once_and_no_more_padded_tokens_than_the_budget(budget):
    cuts = list(parts(LENGTHS, budget))
    assert sorted(torch.cat(cuts).tolist()) == list(range(10))
    for rows in cuts:
        assert len(rows) == 1 or budget is None or len(rows) * int(LENGTHS[rows].max()) <= budget
    widths = [int(LENGTHS[rows].max()) for rows in cuts]
    assert widths == sorted(widths, reverse=True), "longest first: too large a batch fails in the first part"


def test_parts_by_hand():
    assert [LENGTHS[rows].tolist() for rows in parts(LENGTHS, 18)] == [[9, 9], [7, 5], [4, 3, 2, 1], [1, 1]]
    assert len(list(parts(LENGTHS, None))) == 1


class Spy(Tower):
    """Embeds a row as its length, and notes the shapes that it was given."""

    dim = 1

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, input_ids, attention_mask):
        self.shapes.append(tuple(input_ids.shape))
        return attention_mask.sum(dim=1, keepdim=True).float()


def test_rows_come_back_in_order_and_parts_are_trimmed(toy, tokens_of):
    texts = [" ".join(["word"] * int(n)) for n in LENGTHS]
    tokens, spy = tokens_of(Static(), texts), Spy()
    assert encode(spy, tokens, 18)[:, 0].tolist() == LENGTHS.tolist()
    assert spy.shapes == [(2, 9), (2, 7), (4, 4), (2, 1)]


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_vectors_and_gradients_do_not_depend_on_the_parts(kind, toy, bert, tokens_of):
    texts = [" ".join(text.split()[: 1 + 3 * i]) for i, text in enumerate(toy.corpus.take(range(12)))]
    recipe = Static(dim=8) if kind == "static" else Transformer(model=str(bert), dropout=0.0)
    tower = recipe.build(recipe.tokenizer(toy.corpus)).train()
    tokens = tokens_of(recipe, texts, recipe.tokenizer(toy.corpus))
    found = {}
    for budget in (None, 1, 40):
        tower.zero_grad()
        vectors = encode(tower, tokens, budget)
        (vectors[:, 0] * torch.arange(12)).sum().backward()
        found[budget] = (
            vectors.detach(),
            torch.cat([p.grad.flatten() for p in tower.parameters() if p.grad is not None]),
        )
    for budget in (1, 40):
        for ours, whole in zip(found[budget], found[None], strict=True):
            torch.testing.assert_close(ours, whole, atol=1e-5, rtol=1e-4)
