"""What every loss promises: checks of the loss alone, on matrices that hold all that may happen."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch

from hardneg.errors import ConfigError
from hardneg.losses.base import Loss, Weighed
from hardneg.matrix.candidates import Candidates
from hardneg.testing.synthetic import make_candidates


def scored(loss: Loss, seed: int = 0) -> Candidates:
    """Six rows with all that may happen: several positives, masked columns, and (row 2) no negative left.

    Masked columns hold large scores, so that a leak shows. Where the loss reads teacher scores, some are unknown.
    """
    rng = torch.Generator().manual_seed(seed)
    scores = torch.rand(6, 9, generator=rng) * 2 - 1
    positive = torch.zeros(6, 9, dtype=torch.bool)
    positive[:, 0] = positive[1, 4] = positive[3, 1:3] = True
    valid = (torch.rand(6, 9, generator=rng) > 0.3) | positive
    valid[:, 8] = True
    valid[:, 7] = False
    valid[2] = positive[2]
    more: dict[str, Any] = {}
    if loss.needs_teacher:
        known = torch.rand(6, 9, generator=rng) * 20 - 10
        more["teacher"] = known.masked_fill(~valid, torch.nan)
        more["teacher"][4, 8] = torch.nan
    if loss.needs_reverse:
        more["reverse"] = make_candidates(torch.rand(6, 6, generator=rng))
    scores = torch.where(valid, scores, 50.0).requires_grad_()
    return make_candidates(scores, positive, valid, **more)


def gives_one_finite_value_a_row(loss: Loss) -> None:
    """The loss is one finite value a row, with gradient, for several positives and masked columns too."""
    for seed in range(3):
        value = loss(scored(loss, seed))
        said = f"of 6 rows: {value}"
        assert value.shape == (6,) and value.isfinite().all() and value.requires_grad, said


def masked_columns_do_nothing(loss: Loss) -> None:
    """Columns that are not valid change neither loss nor gradient; negatives that are get one."""
    c = scored(loss)
    value = loss(c)
    (gradient,) = torch.autograd.grad(value.sum(), c.scores)
    assert gradient.isfinite().all(), "the gradient is not finite"
    assert (gradient[~c.valid] == 0).all(), "masked columns get a gradient"
    changed = dataclasses.replace(c, scores=torch.where(c.valid, c.scores, -3.0))
    torch.testing.assert_close(loss(changed), value, msg="masked columns change the loss")
    assert (gradient[c.negative] != 0).any(), "no negative gets a gradient"


def order_of_columns_does_not_matter(loss: Loss) -> None:
    """The order of the columns does not matter: sources and mixtures may come in any."""
    c = scored(loss)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    moved = {
        field: value[:, order]
        for field in ("scores", "ids", "positive", "valid", "source", "teacher")
        if (value := getattr(c, field)) is not None
    }
    torch.testing.assert_close(loss(dataclasses.replace(c, **moved)), loss(c))


def a_row_without_negatives_is_harmless(loss: Loss) -> None:
    """A row without negatives, or a batch of such rows, gives a finite loss and finite gradients."""
    c = scored(loss)
    for lonely in (c, c.keep(torch.zeros_like(c.valid))):  # row 2, and then all rows
        value = loss(lonely)
        parameters = [p for p in loss.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(value.sum(), [c.scores, *parameters], allow_unused=True)
        assert value.isfinite().all(), f"the loss is {value}"
        assert all(g is None or g.isfinite().all() for g in gradients), "the gradient is not finite"


def rows_do_not_mix(loss: Loss) -> None:
    """The loss of a row depends on that row's scores alone, unless the class says that it mixes rows."""
    if loss.mixes_rows:
        return
    c = scored(loss)
    value = loss(c)
    for row in range(6):
        (gradient,) = torch.autograd.grad(value[row], c.scores, retain_graph=True)
        gradient[row] = 0
        assert (gradient == 0).all(), f"the loss of row {row} depends on another row's scores"


def state_of_a_loss_round_trips(loss: Loss) -> None:
    """What the loss learns is in its `state_dict`."""
    changed, fresh = copy.deepcopy(loss), copy.deepcopy(loss)
    with torch.no_grad():
        for p in changed.parameters():
            p.add_(0.1)
    fresh.load_state_dict(changed.state_dict())
    torch.testing.assert_close(fresh(scored(loss)), changed(scored(loss)))


def weight_must_be_positive(loss: Weighed) -> None:
    """`weight` is an argument, and a weight of 0 or less is refused with `ConfigError`."""
    assert loss.weight > 0, f"weight is {loss.weight}"
    for weight in (0.0, -1.0):
        try:
            type(loss)(weight=weight)
        except TypeError as error:
            raise AssertionError(f"the class takes no weight alone: {error}") from error
        except ConfigError as error:
            assert "weight" in str(error), f"the error for weight={weight} does not name it: {error}"
        else:
            raise AssertionError(f"weight={weight} is taken")


LOSS = [gives_one_finite_value_a_row, masked_columns_do_nothing, order_of_columns_does_not_matter]
LOSS += [a_row_without_negatives_is_harmless, rows_do_not_mix, state_of_a_loss_round_trips, weight_must_be_positive]
