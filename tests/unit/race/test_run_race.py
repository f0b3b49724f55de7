"""The course of a race without its runs: what is left to do after a kill, who is left, and what the budget has left."""

from __future__ import annotations

from types import SimpleNamespace

import optuna
import pytest
from omegaconf import OmegaConf

from hardneg.errors import JobFailed
from hardneg.race.decide import Rules
from hardneg.race.portfolio import Entry, Settings
from hardneg.race.record import Record
from hardneg.race.run_race import CLOSING, Race
from hardneg.sweep.jobs import Job

ARMS = {"in_batch": [], "alike": [], "random": []}
TIMING = {"step": 0.01, "evaluation": 0.1, "start": 1.0}


@pytest.fixture
def race(tmp_path):
    """A race in which nothing has been done yet, as `Race` makes it of a config."""
    race = Race.__new__(Race)
    race.settings, race.rules, race.baseline = Settings("10m", ARMS, rungs=2, seeds=1), Rules(3, rungs=2), "in_batch"
    race.entries = {name: Entry(name, (), ()) for name in ARMS}
    race.crew, race.folder, race.budget = SimpleNamespace(n_jobs=1), tmp_path, 600.0
    race.record = Record(optuna.create_study(direction="maximize"), tmp_path)
    race.record.enter(ARMS, {"budget": "10m"})
    return race


def timed(race, *names):
    """Note that arms were timed, and that `alike` comes to the run of in_batch."""
    for name in names:
        race.record.note(name, seconds_0=1.0, identity="x" if name != "random" else "y", timing=TIMING)


@pytest.mark.parametrize("cut", ["note", "stop"])
def test_a_kill_while_an_arm_is_left_out_costs_no_timing_and_ends(race, cut, monkeypatch):
    timed(race, *ARMS)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Record, cut, killed)
        race._leave_out_duplicates()
    assert race.record.racing() == list(ARMS) and race._untimed() == []
    race._leave_out_duplicates()
    assert race.record.racing() == ["in_batch", "random"] and race._untimed() == []
    assert list(race._plan().unit) == ["in_batch", "random"]


def test_what_was_cut_off_before_its_timing_was_noted_is_timed_again(race):
    timed(race, "in_batch")
    race.record.note("alike", seconds_0=1.0, identity="x")
    assert [work.name for work in race._untimed()] == ["time_alike", "time_random"]


def fail(race, arm):
    race._failed(arm, "out of memory", Job(0, [], OmegaConf.create(), race.folder, arm))


def test_an_arm_that_was_left_out_is_no_rival_when_the_last_of_them_fails(race):
    timed(race, *ARMS)
    race._leave_out_duplicates()
    race._check_rivals()
    with pytest.raises(JobFailed, match="all arms but in_batch and what comes to the same run as another have failed"):
        fail(race, "random")


def test_all_rivals_that_failed_while_they_were_timed_are_told_once_the_same_are_left_out(race):
    timed(race, "in_batch", "alike")
    fail(race, "random")  # alike may race still
    race._leave_out_duplicates()
    with pytest.raises(JobFailed, match="have failed"):
        race._check_rivals()


def test_an_arm_that_was_stopped_counts_as_a_rival(race):
    race.record.stop("alike")
    fail(race, "random")
    race._check_rivals()


def test_all_others_that_failed_end_the_race(race):
    fail(race, "alike")
    with pytest.raises(JobFailed, match="all arms but the baseline have failed"):
        fail(race, "random")


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_seconds_in_which_nothing_runs_count_for_every_run_that_could(race, n_jobs):
    race.crew.n_jobs, race.budget = n_jobs, 600.0 * n_jobs
    race.record.note("in_batch", seconds_0=10.0)
    race._note_checks(4.0)
    assert race._left() == 600.0 * n_jobs - 10.0 - (4.0 + CLOSING) * n_jobs
