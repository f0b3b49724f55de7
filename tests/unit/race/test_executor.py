"""What is told to the runs of a race."""

from __future__ import annotations

import joblib
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.race.executor import Executor, at_a_time


@pytest.mark.parametrize("sign", ["", "+", "++", "~"])
def test_runs_are_composed_without_words_that_change_arms(tmp_path, sign):
    """A run has no race=NAME, hence no arm that such a word could change."""
    kept = ["hydra.sweeper.budget=1m", "hydra.verbose=true"]
    words = [kept[0], f"{sign}hydra.sweeper.arms.random=null", kept[1]]
    config = OmegaConf.create({"hydra": {"launcher": {}, "overrides": {"hydra": words}}})
    OmegaConf.set_readonly(config, True)
    executor = Executor(config, BasicLauncher(), tmp_path)
    assert executor.config is config and config.hydra.overrides.hydra == kept


def test_joblibs_numbers_count_back_from_the_cores():
    assert (at_a_time(1), at_a_time(3)) == (1, 3)
    assert (at_a_time(-1), at_a_time(-1000)) == (joblib.cpu_count(), 1)
