"""The moving average: its formula, what it shares with the model, and what it leaves as it is."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
import torch
from torch import nn

from hardneg.errors import ConfigError
from hardneg.training.callbacks.moving_average import MovingAverage


class Module(L.LightningModule):
    """One trained weight, one frozen, a buffer, and a source that holds ids and makes room as a queue does."""

    def __init__(self):
        super().__init__()
        self.ranker = nn.Linear(1, 1, bias=False)
        self.frozen = nn.Parameter(torch.tensor([0.1, 1 / 3, 1e-3]), requires_grad=False)
        self.ranker.register_buffer("mean", torch.zeros(1))
        self.sources = nn.Module()
        self.sources.register_buffer("ids", torch.full((0,), -1))


def average_of(weights, **settings):
    """Return the average after each of the steps that made these weights."""
    module, callback, found, trainer = Module(), MovingAverage(**settings), [], Mock(spec=L.Trainer)
    callback.setup(trainer, module, "fit")
    callback.on_fit_start(trainer, module)
    for step, weight in enumerate(weights, start=1):
        module.ranker.weight.data.fill_(weight)
        module.ranker.mean.fill_(step)
        module.sources.ids = torch.arange(step)
        trainer.global_step = step
        callback.on_train_batch_end(trainer, module)
        callback.on_train_batch_end(trainer, module)  # accumulating: no step since
        found.append(callback._average_model.module.ranker.weight.item())
    return found, module, callback._average_model.module


@pytest.mark.parametrize(("decay", "warmup"), [(0.999, True), (0.5, True), (0.9, False)])
def test_it_is_the_formula_written_out(decay, warmup):
    weights = torch.randn(40, generator=torch.Generator().manual_seed(0)).tolist()
    wanted = [weights[0]]
    for n, weight in enumerate(weights[1:], start=2):
        d = min(decay, n / (9 + n)) if warmup else decay
        wanted.append(d * wanted[-1] + (1 - d) * weight)
    found, _, _ = average_of(weights, decay=decay, warmup=warmup)
    assert found == pytest.approx(wanted, abs=1e-6)


def test_a_short_run_does_not_end_as_it_began():
    """Of 88 steps from 0 to 1 a decay of .999 throughout leaves .04; with the warm-up the average follows."""
    ramp = [n / 88 for n in range(1, 89)]
    assert average_of(ramp, warmup=False)[0][-1] < 0.06
    assert average_of(ramp)[0][-1] > 0.85


def test_what_is_not_trained_stays_to_the_bit_and_buffers_are_those_of_now():
    _, module, average = average_of([0.3] * 30)
    assert torch.equal(average.frozen, torch.tensor([0.1, 1 / 3, 1e-3]))
    assert average.frozen.data_ptr() == module.frozen.data_ptr(), "no second copy of a large frozen base"
    assert float(average.ranker.mean) == 30
    assert average.sources.ids.tolist() == list(range(30))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_is_no_share_is_refused(decay):
    with pytest.raises(ConfigError, match="decay is the share"):
        MovingAverage(decay=decay)


def test_it_stays_in_float32_where_precision_rounds_the_weights():
    """trainer.precision=bf16-true converts the model after the callback's setup."""
    module, callback, trainer = Module(), MovingAverage(decay=0.999, warmup=False), Mock(spec=L.Trainer)
    callback.setup(trainer, module, "fit")
    module.ranker.to(torch.bfloat16)
    callback.on_fit_start(trainer, module)
    for step, weight in enumerate((1.0, 2.0), start=1):
        module.ranker.weight.data.fill_(weight)
        trainer.global_step = step
        callback.on_train_batch_end(trainer, module)
    assert callback._average_model.module.ranker.weight.item() == pytest.approx(1.001, abs=1e-6)
