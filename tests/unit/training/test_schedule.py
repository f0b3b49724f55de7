"""Schedules: their shapes over 100 steps."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.training.schedule import AnyScheduler, Plateau, Schedule, WarmupStableDecay, epochs_of


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


def attached_rates(schedule, steps=100, told=None, epochs=4):
    """The rates of steps 1, 2, ... as Lightning would move a schedule; `told` are the dev values by step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    found, out = schedule.attached(optimizer, steps, epochs), []
    for step in range(1, steps + 1):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for one in found:
            if one.get("frequency", 1) > steps:  # Lightning never would: FollowPlateau does
                if told and step in told:
                    one["scheduler"].step(told[step])
            elif one["interval"] == "step" or step % (steps // epochs) == 0:
                one["scheduler"].step()
    return out


def test_warm_up_stable_decay_is_its_formula():
    """(Hu et al. 2024): a line up, the full rate, and of the last fifth the share x that is done takes 1 - sqrt(x)."""
    found = rates(WarmupStableDecay(warmup=0.1, decay=0.2))
    for step, rate in enumerate(found):
        wanted = step / 10 if step < 10 else 1.0 if step < 80 else 1 - math.sqrt((step - 80) / 20)
        assert rate == pytest.approx(2 * wanted), step
    assert rates(WarmupStableDecay(warmup=0.1, decay=0.9, decay_steps=20)) == found
    assert rates(WarmupStableDecay(warmup_steps=40, decay_steps=500))[70] == pytest.approx(2 * (1 - math.sqrt(0.5)))
    line = rates(WarmupStableDecay(shape="linear", warmup=0.0, decay=0.5, floor=0.1))
    assert line[:51] == [2.0] * 51 and line[75] == pytest.approx(2 * 0.55) and line[100] == pytest.approx(0.2)


def test_inverse_square_root_is_its_formula_and_does_not_know_the_end():
    short, long = (rates(Schedule("inverse_sqrt", warmup_steps=10), steps) for steps in (50, 100))
    assert long[:50] == short[:50]
    for step, rate in enumerate(long):
        assert rate == pytest.approx(2 * (step / 10 if step < 10 else math.sqrt(10 / step))), step


def test_plateau_warms_up_and_falls_when_dev_has_not_risen():
    told = {20: 0.3, 40: 0.2, 60: 0.3, 70: 0.31, 80: 0.1, 90: 0.31}  # two in a row without a new best: at 60 and at 90
    found = attached_rates(Plateau(warmup=0.1, factor=0.25, patience=1), told=told)
    assert found[:10] == pytest.approx([2 * step / 10 for step in range(1, 11)])
    assert found[10:60] == pytest.approx([2.0] * 50)
    assert found[60:90] == pytest.approx([0.5] * 30) and found[90:] == pytest.approx([0.125] * 10)
    assert attached_rates(Plateau(warmup=0.0, min_lr=1.5), told=told)[-1] == 1.5


def test_any_scheduler_goes_by_steps_or_epochs_and_is_told_the_length():
    cosine = partial(torch.optim.lr_scheduler.CosineAnnealingLR)
    by_step, by_epoch = (attached_rates(AnyScheduler(cosine, kind)) for kind in ("step", "epoch"))
    assert by_step == pytest.approx([1 + math.cos(math.pi * step / 100) for step in range(100)])
    assert by_epoch == pytest.approx([1 + math.cos(math.pi * (step // 25) / 4) for step in range(100)])
    steps = AnyScheduler(partial(torch.optim.lr_scheduler.StepLR, step_size=30, gamma=0.5))
    assert [attached_rates(steps)[at] for at in (29, 30, 60, 90)] == [2.0, 1.0, 0.5, 0.25]
    top = attached_rates(AnyScheduler(partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=3.0)))
    assert max(top) == pytest.approx(3.0) and top[-1] < 0.01


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: WarmupStableDecay(warmup=0.5, decay=0.6), "schedule.decay"),
        (lambda: WarmupStableDecay(shape="step"), "schedule.shape"),
        (lambda: WarmupStableDecay(decay_steps=-1), "schedule.decay_steps"),
        (lambda: WarmupStableDecay(floor=1.0), "schedule.floor"),
        (lambda: Plateau(factor=1.0), "schedule.factor"),
        (lambda: Plateau(patience=-1), "schedule.patience"),
        (lambda: AnyScheduler(partial(torch.optim.lr_scheduler.StepLR), "day"), "schedule.interval"),
        (lambda: AnyScheduler(partial(torch.optim.lr_scheduler.ReduceLROnPlateau)), "schedule=plateau"),
        (lambda: AnyScheduler(partial(torch.optim.lr_scheduler.OneCycleLR)), "required argument: 'max_lr'"),
    ],
)
def test_settings_of_the_others_are_refused_by_name(make, key):
    with pytest.raises(ConfigError, match=key):
        make()


@pytest.mark.parametrize(("steps", "an_epoch", "epochs"), [(100, 25, 4), (101, 25, 5), (3, 25, 1)])
def test_a_run_has_its_epochs_and_the_one_it_ends_in(steps, an_epoch, epochs):
    assert epochs_of(steps, an_epoch) == epochs
