"""The spread-out term by hand and against sentence-transformers; what is one text twice does not count."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hardneg.errors import ConfigError
from hardneg.losses.gor import GOR
from hardneg.matrix.embedded import Embedded
from hardneg.testing.synthetic import make_batch, random_units

THREE = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])  # cosines .6, 0 and .8, whatever the lengths


def step(q, d, doc_ids=None, **more):
    doc_ids = torch.arange(d.shape[0] * d.shape[1]).reshape(d.shape[:2]) if doc_ids is None else doc_ids
    return Embedded(q, d, {}), make_batch(doc_ids, **more)


def test_by_hand():
    first, second = (0.6 + 0.0 + 0.8) / 3, (0.36 + 0.0 + 0.64) / 3
    e = step(THREE, torch.ones(3, 1, 2), doc_ids=torch.zeros(3, 1, dtype=torch.long))  # one document: no pair
    assert GOR(aggregation="sum")(*e).item() == pytest.approx(first**2)  # the second moment, 1/3, is below 1/2
    assert GOR()(*e).item() == pytest.approx(first**2 / 2)
    wide = torch.nn.functional.pad(THREE, (0, 2))  # four dimensions: 1/3 is 1/12 above 1/4
    only_second = GOR(mean_weight=0.0, second_moment_weight=2.0, aggregation="sum")
    assert only_second(*step(wide, torch.eye(4)[:3, None])).item() == pytest.approx(2 * (second - 1 / 4))


@pytest.mark.parametrize("aggregation", ["mean", "sum"])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.0, 1.0), (0.5, 3.0)])
@pytest.mark.parametrize("documents", ["positives", "all"])
def test_it_is_that_of_sentence_transformers(documents, weights, aggregation):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    theirs = losses.GlobalOrthogonalRegularizationLoss(
        nn.Identity(), mean_weight=weights[0], second_moment_weight=weights[1], aggregation=aggregation
    )
    q, d = random_units(6, 4), random_units(6, 3, 4, seed=1)
    ours = GOR(*weights, documents=documents, aggregation=aggregation)(*step(q, d))
    columns = [q, d[:, 0]] if documents == "positives" else [q, *d.unbind(dim=1)]
    expected = sum(theirs.compute_loss_from_embeddings(columns).values())
    torch.testing.assert_close(ours, expected)
    for one, two in zip(*(torch.autograd.grad(value, [q, d]) for value in (ours, expected)), strict=True):
        torch.testing.assert_close(one, two)


def test_one_query_or_document_in_two_rows_is_no_pair():
    q, d = random_units(4, 4), random_units(4, 1, 4, seed=1)
    q[3].data.copy_(q[0])
    d[3].data.copy_(d[0])
    met_again = step(q, d, doc_ids=torch.tensor([[0], [1], [2], [0]]), query_ids=[0, 1, 2, 0])
    gor = GOR()

    def of(emb, pairs):
        cosines = torch.stack([emb[i] @ emb[j] for i, j in pairs])
        return cosines.mean().square() + (cosines.square().mean() - 1 / 4).relu()

    pairs = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    torch.testing.assert_close(gor(*met_again), (of(q, pairs) + of(d[:, 0], pairs)) / 2)


def test_a_batch_of_one_is_spread_out():
    q, d = random_units(1, 4), random_units(1, 1, 4)
    value = GOR()(*step(q, d))
    assert value.item() == 0 and not any(g.any() for g in torch.autograd.grad(value, [q, d]))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"mean_weight": 0.0, "second_moment_weight": 0.0}, "nor both 0"),
        ({"mean_weight": -1.0}, "must not be negative"),
        ({"documents": "some"}, "loss.gor.documents must be one of positives, all"),
        ({"aggregation": "max"}, "loss.gor.aggregation"),
    ],
)
def test_what_it_cannot_be_is_refused(more, said):
    with pytest.raises(ConfigError, match=said):
        GOR(**more)
