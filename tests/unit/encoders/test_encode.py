"""Encoding in parts: the same vectors, and no part above its budget."""

from __future__ import annotations

import pytest
import torch

from hardneg.encoders.base import Tower
from hardneg.encoders.encode import encode, parts
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.candidates import Candidates
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch

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


def test_the_step_in_parts_is_the_large_batch_and_accumulation_is_not(toy, bert, tokens_of):
    """The whole step, dropout on: GradCache's gradient is the large batch's, the mean over small batches' is not.

    Accumulation gets its best case: every text keeps the vector, dropout included, that it has in the large batch.
    """
    recipe = Transformer(model=str(bert), dropout=0.3)
    tower = recipe.build(recipe.tokenizer(toy.corpus)).train()
    tokens = tokens_of(recipe, list(toy.corpus.take(range(36))), recipe.tokenizer(toy.corpus))
    rows = torch.arange(24).reshape(12, 2)  # a positive and a negative each; the queries are texts 24 to 35

    def gradient(batches, grad_cache=False):
        tower.zero_grad()
        torch.manual_seed(5)
        vectors = encode(tower, tokens, 60, grad_cache)
        total = 0
        for pick in batches:
            batch, q, d = make_batch(rows[pick]), vectors[24:][pick], vectors[rows[pick]]
            c = Candidates.own(q, d, batch, ("positive", "drawn", "in_batch"))
            total += InfoNCE()(c.add(q, InBatch()(q, d, batch), "in_batch")).mean() / len(batches)
        total.backward()
        return torch.cat([p.grad.flatten() for p in tower.parameters() if p.grad is not None])

    large = gradient([torch.arange(12)])
    cached = gradient([torch.arange(12)], grad_cache=True)
    accumulated = gradient(list(torch.arange(12).chunk(4)))
    assert large.dtype == torch.float32
    assert float((cached - large).norm() / large.norm()) < 1e-6
    assert float((accumulated - large).norm() / large.norm()) > 0.1


@pytest.mark.parametrize("size", [40, 200])
def test_grad_cache_gives_the_gradient_of_the_whole_batch_with_dropout(size, toy, bert, tokens_of):
    """Every row's gradient hangs on all rows here, as in a contrastive loss; the dropout masks are drawn once."""
    recipe = Transformer(model=str(bert), dropout=0.3)
    tower = recipe.build(recipe.tokenizer(toy.corpus)).train()
    tokens = tokens_of(recipe, list(toy.corpus.take(range(24))), recipe.tokenizer(toy.corpus))
    found = {}
    for grad_cache in (False, True):
        tower.zero_grad()
        torch.manual_seed(5)
        vectors = encode(tower, tokens, size, grad_cache)
        torch.nn.functional.cross_entropy(vectors[:12] @ vectors[12:].T / 0.05, torch.arange(12)).backward()
        found[grad_cache] = torch.cat([p.grad.flatten() for p in tower.parameters() if p.grad is not None])
    assert float((found[True] - found[False]).norm() / found[False].norm()) < 1e-6


def test_gradient_accumulation_is_not_a_larger_batch(toy, bert, tokens_of):
    """Two halves see only their own negatives: the mean of their gradients is another one."""
    recipe = Transformer(model=str(bert), dropout=0.0)
    tower = recipe.build(recipe.tokenizer(toy.corpus)).train()
    tokens = tokens_of(recipe, list(toy.corpus.take(range(24))), recipe.tokenizer(toy.corpus))
    pairs = torch.arange(24).reshape(2, 12)  # queries, documents

    def gradient(*batches):
        tower.zero_grad()
        for pick in batches:
            q, d = (encode(tower, tokens.part(pairs[side, pick]), 100, True) for side in (0, 1))
            loss = torch.nn.functional.cross_entropy(q @ d.T / 0.05, torch.arange(len(pick)))
            (loss / len(batches)).backward()
        return torch.cat([p.grad.flatten() for p in tower.parameters() if p.grad is not None])

    whole, halves = gradient(torch.arange(12)), gradient(torch.arange(6), torch.arange(6, 12))
    assert float((whole - halves).norm() / whole.norm()) > 0.1
