"""Equation 1 of Qwen3-Embedding (arXiv:2506.05176), term by term, with its masks; as conf/experiment/qwen3 has it."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.filters.in_batch_margin import InBatchMargin
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.embedded import Embedded
from hardneg.negatives.blocks import Blocks
from hardneg.negatives.in_batch import InBatch
from hardneg.testing.synthetic import make_batch, random_units

NAMES = ("positive", "mined", "in_batch", "blocks", "documents")
B, G = 4, 3  # queries, and documents of each: the positive and two negatives


def by_hand(q, d, t, margin, own):
    """The sum over j != i of others' documents, queries, and of the positive beside others' documents (or all)."""
    losses = []
    for i in range(B):
        positive = q[i] @ d[i, 0]
        bound = positive + margin
        terms = [q[i] @ d[i, k] for k in range(1, G)] + [q[i] @ q[j] for j in range(B) if j != i]
        terms += [q[i] @ d[j, k] for j in range(B) if j != i for k in range(G)]
        terms = [s for s in terms if s <= bound]  # those that the code masks
        terms += [d[i, 0] @ d[j, k] for j in range(B) for k in range(G) if j != i or (own and k > 0)]
        losses.append(torch.log(1 + torch.exp((torch.stack(terms) - positive) / t).sum()))
    return torch.stack(losses)


@pytest.mark.parametrize("own", [False, True])  # True: as ms-swift has it
@pytest.mark.parametrize("margin", [0.1, -0.3, 5.0])
def test_equation_1(margin, own):
    q, d = random_units(B, 8), random_units(B, G, 8, seed=1)
    batch = make_batch(torch.arange(B * G).reshape(B, G))
    sources = {
        "in_batch": InBatch(),
        "blocks": Blocks(["query_query"]),
        "documents": Blocks(["document_document"], True, own),
    }
    c = Embedded(q, d, {name: source(q, d, batch) for name, source in sources.items()}).candidates(batch, NAMES)
    rule = InBatchMargin(margin, ["in_batch", "mined", "blocks"])
    value, expected = InfoNCE(0.1)(c.keep(rule(c, batch.positive_ids))), by_hand(q, d, 0.1, margin, own)
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(x.sum(), [q, d], retain_graph=True) for x in (value, expected))
    torch.testing.assert_close(ours, theirs)


def test_the_rows_own_need_those_that_are_drawn():
    with pytest.raises(ConfigError, match=r"needs negatives\.blocks\.hard=true"):
        Blocks(own=True)


def test_a_drawn_negative_that_the_row_knows_is_related():
    """Row 0 knows document 3, which row 1 has drawn; row 1's own document knows nothing of it."""
    batch = make_batch([[0, 1], [2, 3]], positive_ids=[[0, 3], [2, -1]])
    columns = Blocks(["document_document"], True)(random_units(2, 8), random_units(2, 2, 8, seed=1), batch)
    assert columns.owner.tolist() == [0, 0, 1, 1] and columns.ids.tolist() == [0, 1, 2, 3]
    assert columns.related.tolist() == [[True, False, False, True], [False, False, True, False]]
