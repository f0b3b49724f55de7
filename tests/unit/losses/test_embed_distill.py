"""Embedding distillation by hand and against sentence-transformers; what the teacher has not embedded is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from hardneg.errors import ConfigError
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.matrix.embedded import Embedded
from hardneg.testing.synthetic import make_batch, random_units

NAN = torch.nan


def taught(q, d, queries, docs):
    batch = make_batch(torch.arange(d.shape[0] * d.shape[1]).reshape(d.shape[:2]))
    return Embedded(q, d, {}), replace(batch, teacher_queries=queries, teacher_docs=docs)


@pytest.mark.parametrize(
    ("distance", "of_query", "of_document"), [("cosine", 0.2, 1.0), ("l2", 0.4**0.5, 2**0.5), ("mse", 0.2, 1.0)]
)
def test_by_hand(distance, of_query, of_document):
    q, d = torch.tensor([[0.6, 0.8]]), torch.tensor([[[0.0, 1.0]]])  # the teacher's: [0, 1] and [1, 0]
    step = taught(q, d, torch.tensor([[0.0, 1.0]]), torch.tensor([[[1.0, 0.0]]]))
    loss = EmbedDistill(distance=distance)
    assert loss(*step).item() == pytest.approx((of_query + of_document) / 2)
    assert loss(*taught(q, d, torch.tensor([[0.0, 1.0]]), None)).item() == pytest.approx(of_query)


@pytest.mark.parametrize("distance", ["cosine", "l2", "mse"])
@pytest.mark.parametrize("wide", [4, 6])
def test_it_is_that_of_sentence_transformers(distance, wide):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")

    class Model(nn.Module):
        device = "cpu"

        def get_embedding_dimension(self):
            return 4

    q, d = random_units(5, 4), random_units(5, 2, 4, seed=1)
    queries, docs = random_units(5, wide, seed=2).detach(), random_units(5, 2, wide, seed=3).detach()
    ours = EmbedDistill(distance=distance)
    ours.make_projection(4, wide)
    theirs = losses.EmbedDistillLoss(Model(), distance, None if wide == 4 else wide)
    if wide != 4:
        theirs.projection.load_state_dict(ours.projection.state_dict())
    value = ours(*taught(q, d, queries, docs))
    expected = theirs.compute_loss_from_embeddings([q, *d.unbind(dim=1)], [queries, *docs.unbind(dim=1)])
    torch.testing.assert_close(value, expected)
    for one, two in zip(*(torch.autograd.grad(x, [q, d]) for x in (value, expected)), strict=True):
        torch.testing.assert_close(one, two)


def test_what_the_teacher_has_not_embedded_does_not_count():
    q, d = random_units(3, 4), random_units(3, 2, 4, seed=1)
    queries, docs = random_units(3, 4, seed=2).detach(), random_units(3, 2, 4, seed=3).detach()
    docs[1, 0] = NAN
    docs[:, 1] = NAN  # nothing of a whole column
    value = EmbedDistill()(*taught(q, d, queries, docs))
    of_q = (1 - (q * queries).sum(dim=1)).mean()
    of_d = (1 - (d[[0, 2], 0] * docs[[0, 2], 0]).sum(dim=1)).mean()
    torch.testing.assert_close(value, (of_q + of_d) / 2)
    assert torch.autograd.grad(value, d)[0].isfinite().all()


def test_a_student_like_its_teacher_has_nothing_to_learn():
    q, d = random_units(3, 4), random_units(3, 1, 4, seed=1)
    for distance in ("cosine", "l2", "mse"):
        value = EmbedDistill(distance=distance)(*taught(q, d, q.detach(), d.detach()))
        assert value.item() == pytest.approx(0, abs=1e-6)
        assert all(g.isfinite().all() for g in torch.autograd.grad(value, [q, d]))


def test_the_projection_is_there_where_it_is_wanted():
    shapes = {}
    for wanted in ("auto", True, False):
        for theirs in (4, 6):
            loss = EmbedDistill(projection=wanted)
            if wanted is False and theirs == 6:
                with pytest.raises(ConfigError, match="projection=auto"):
                    loss.make_projection(4, theirs)
                continue
            loss.make_projection(4, theirs)
            shapes[wanted, theirs] = loss.projection and tuple(loss.projection.weight.shape)
    assert shapes == {("auto", 4): None, ("auto", 6): (6, 4), (True, 4): (4, 4), (True, 6): (6, 4), (False, 4): None}


@pytest.mark.parametrize("more", [{"distance": "dot"}, {"documents": "some"}, {"projection": "maybe"}])
def test_what_it_cannot_be_is_refused(more):
    with pytest.raises(ConfigError, match=f"loss.embed_distill.{next(iter(more))} must be"):
        EmbedDistill(**more)
