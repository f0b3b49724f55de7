"""How long a step takes, on a machine that does other things too."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.training.callbacks.race_part import step_seconds


def test_a_step_takes_what_it_takes_when_nothing_else_runs():
    steps = np.full(40, 0.1)
    assert step_seconds(list(np.cumsum(steps))) == pytest.approx(0.1)
    steps[5:15] *= 10  # somebody else was at work
    assert step_seconds(list(np.cumsum(steps))) == pytest.approx(0.1)


def test_what_an_epochs_end_costs_is_counted():
    steps = np.full(60, 0.1)
    steps[::5] += 0.2
    assert step_seconds(list(np.cumsum(steps))) == pytest.approx(0.14, abs=0.015)


def test_few_steps_are_enough():
    assert step_seconds([1.0, 1.5, 2.0, 2.5, 3.0, 3.5]) == pytest.approx(0.5)
