"""Schedules: their shapes over 100 steps."""

from __future__ import annotations

import math

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.training.schedule import Schedule


def rates(schedule, steps=100):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule.over(optimizer, steps)
    out = []
    for _ in range(steps + 1):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return out


@pytest.mark.parametrize(
    ("shape", "halfway", "end"), [("linear", 1.0, 0.0), ("cosine", 1.0, 0.0), ("constant", 2.0, 2.0)]
)
def test_it_warms_up_and_then_takes_its_shape(shape, halfway, end):
    found = rates(Schedule(shape, 0.1))
    assert found[0] == 0 and found[5] == pytest.approx(1.0) and found[10] == pytest.approx(2.0)
    assert found[55] == pytest.approx(halfway) and found[100] == pytest.approx(end)
    if shape == "cosine":
        assert found[40] == pytest.approx(1 + math.cos(math.pi / 3))


def test_without_warmup_it_starts_at_the_top():
    assert rates(Schedule("linear", 0.0))[0] == 2.0


@pytest.mark.parametrize(
    ("wrong", "key"),
    [({"shape": "step"}, "shape"), ({"warmup": 1.0}, "warmup"), ({"warmup_steps": -1}, "warmup_steps")],
)
def test_wrong_arguments_are_refused_by_name(wrong, key):
    with pytest.raises(ConfigError, match=f"schedule.{key}"):
        Schedule(**wrong)


def test_a_warm_up_in_steps_takes_the_place_of_the_share():
    assert rates(Schedule("linear", 0.1, warmup_steps=3)) == rates(Schedule("linear", 0.03))


@pytest.mark.parametrize("warmup_steps", [100, 1237])
def test_a_warmup_as_long_as_the_run_becomes_the_share_and_says_so(warmup_steps, caplog):
    """DPR's 1,237 steps in a run of 240: the rate would have come to a fifth of what was asked."""
    assert rates(Schedule("linear", 0.1, warmup_steps=warmup_steps)) == rates(Schedule("linear", 0.1))
    assert f"this run of 100 steps would end within schedule.warmup_steps={warmup_steps}" in caplog.text


def test_a_warmup_that_ends_within_the_run_is_taken_as_it_is(caplog):
    assert max(rates(Schedule("constant", 0.1, warmup_steps=99))) == 2.0
    assert rates(Schedule("linear", 0.1, warmup_steps=0))[0] == 2.0
    assert not caplog.text
