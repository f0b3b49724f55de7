"""Searches that share a database, and two processes that would search in one folder."""

from __future__ import annotations

import pytest

from hardneg.errors import ConfigError
from hardneg.runs.study import open_study
from hardneg.sweep.search import PLACE, ask_again
from hardneg.sweep.search_hold import held

optuna = pytest.importorskip("optuna")
SPACE = {"optimizer.lr": optuna.distributions.FloatDistribution(0.0, 1.0)}


def facts(tmp_path, shared):
    storage = f"sqlite:///{tmp_path}/trials.db" if shared else None
    return {"storage": storage, "study": "one", "sampler": "random", "seed": 1, "pruner": "none"}


def begun(study, place):
    trial = study.ask(SPACE)
    trial.set_user_attr(PLACE, place)
    return trial


def test_a_machine_that_joins_a_search_leaves_the_trials_of_others_running(tmp_path):
    first, second = (open_study(facts(tmp_path, True), tmp_path) for _ in range(2))
    others, left = begun(first, "a"), begun(second, "b")
    ask_again(second, "b", shared=True)  # as at the start after a kill
    first.tell(others, 0.5)
    assert [one.state.name for one in first.get_trials()] == ["COMPLETE", "FAIL", "WAITING"]
    assert begun(second, "b").params == left.params


def test_in_a_folder_of_its_own_all_that_is_open_was_left(tmp_path):
    study = open_study(facts(tmp_path, False), tmp_path)
    study.ask(SPACE)  # by one that was killed before it noted its place
    ask_again(study, "a", shared=False)
    assert [one.state.name for one in study.get_trials()] == ["FAIL", "WAITING"]


def test_two_processes_do_not_search_in_one_folder_and_its_name_stays(tmp_path):
    with (
        held(tmp_path) as name,
        pytest.raises(ConfigError, match="a search is at work here"),
        held(tmp_path),
    ):
        raise AssertionError("both have it")
    with held(tmp_path) as again:
        assert again == name
