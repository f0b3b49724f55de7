"""What every loss over vectors promises: checks of the loss alone, on a step's vectors with all that may happen."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from hardneg.losses.base import VectorLoss
from hardneg.matrix.batch import Batch
from hardneg.matrix.embedded import Embedded
from hardneg.testing.losses import weight_must_be_positive
from hardneg.testing.synthetic import make_batch, random_units

DIM = 8


def embedded(seed: int = 0) -> tuple[Embedded, Batch]:
    """Six rows of three documents: one document beside two queries, a query asked twice, and a slot left empty."""
    doc_ids = torch.arange(18).reshape(6, 3)
    doc_ids[1, 0], doc_ids[4, 2] = 0, -1
    q, d = random_units(6, DIM, seed=seed), random_units(6, 3, DIM, seed=seed + 100)
    batch = make_batch(doc_ids, query_ids=[0, 1, 2, 3, 4, 2])
    of_teacher = [random_units(6, *more, DIM, seed=seed + 200).detach() for more in ((), (3,))]
    of_teacher[1][4, 2] = of_teacher[1][0, 1] = torch.nan  # an empty slot, and what it has not embedded
    return Embedded(q, d, {}), replace(batch, teacher_queries=of_teacher[0], teacher_docs=of_teacher[1])


def _gradients(loss: VectorLoss, value: Tensor, e: Embedded) -> list[Tensor]:
    wanted = [e.q, e.d, *(p for p in loss.parameters() if p.requires_grad)]
    return [g for g in torch.autograd.grad(value, wanted, allow_unused=True) if g is not None]


def gives_one_finite_value(loss: VectorLoss) -> None:
    """The loss is one finite value with finite gradients, for empty slots and what is met twice too."""
    for seed in range(3):
        e, batch = embedded(seed)
        value = loss(e, batch)
        assert value.shape == () and value.isfinite() and value.requires_grad, f"of a step: {value}"
        assert all(g.isfinite().all() for g in _gradients(loss, value, e)), "a gradient is not finite"


def empty_slots_do_nothing(loss: VectorLoss) -> None:
    """A slot without a document changes nothing, whatever vector its padding got."""
    e, batch = embedded()
    d = e.d.detach().clone()
    d[4, 2] = 5.0
    torch.testing.assert_close(loss(Embedded(e.q, d, {}), batch), loss(e, batch), msg="an empty slot changes the loss")


def state_of_a_vector_loss_round_trips(loss: VectorLoss) -> None:
    """What the loss learns is in its `state_dict`."""
    changed, fresh = copy.deepcopy(loss), copy.deepcopy(loss)
    with torch.no_grad():
        for p in changed.parameters():
            p.add_(0.1)
    fresh.load_state_dict(changed.state_dict())
    torch.testing.assert_close(fresh(*embedded()), changed(*embedded()))


VECTOR_LOSS = [gives_one_finite_value, empty_slots_do_nothing, state_of_a_vector_loss_round_trips]
VECTOR_LOSS += [weight_must_be_positive]
