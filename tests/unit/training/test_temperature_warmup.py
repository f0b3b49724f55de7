"""A temperature that is warmed up, by SimLM's formula."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
from losses_alone import Module

from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.triplet import Triplet
from hardneg.training.callbacks.temperature_warmup import TemperatureWarmup


def at(step):
    return Mock(spec=L.Trainer, global_step=step)


def test_the_scale_rises_in_a_line_from_one():
    module, warm = Module(infonce=InfoNCE(0.02), triplet=Triplet()), TemperatureWarmup(steps=100)
    warm.setup(at(0), module, "fit")
    seen = []
    for step in (0, 1, 10, 50, 100, 101):
        warm.on_train_batch_start(at(step), module, None, 0)
        seen.append(1 / module.losses["infonce"].temperature.item())
    assert seen == pytest.approx([max(1, s / 100 * 50) for s in (0, 1, 10, 50, 100, 100)])


@pytest.mark.parametrize(("length", "told"), [(50, True), (100, False), (float("inf"), False)])
def test_a_run_that_ends_within_the_warm_up_is_told_so(caplog, length, told):
    warm = TemperatureWarmup(steps=100)
    warm.setup(at(0), Module(infonce=InfoNCE(0.02), blunt=InfoNCE(1.0)), "fit")
    warm.on_train_start(Mock(spec=L.Trainer, estimated_stepping_batches=length), Module())
    said = "the run's 50 steps end within callbacks.temperature_warmup.steps=100: loss.infonce.temperature comes"
    assert (said in caplog.text) == told == ("0.04, not to 0.02" in caplog.text) and "blunt" not in caplog.text


def test_a_run_that_goes_on_knows_what_it_warms_up_to():
    """The checkpoint holds the temperature of its step; what the config says is noted before it is loaded."""
    module, warm = Module(infonce=InfoNCE(0.02)), TemperatureWarmup(steps=100)
    warm.setup(at(0), module, "fit")
    module.losses["infonce"].set_temperature(0.5)
    warm.on_train_batch_start(at(100), module, None, 0)
    assert module.losses["infonce"].temperature.item() == pytest.approx(0.02)


@pytest.mark.parametrize("names", [["kl"], ["triplet"]])
def test_a_loss_without_a_temperature_is_refused(names):
    module = Module(infonce=InfoNCE(0.02), triplet=Triplet())
    with pytest.raises(ConfigError, match="there are infonce"):
        TemperatureWarmup(steps=1, losses=names).setup(at(0), module, "fit")
