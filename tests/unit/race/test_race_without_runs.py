"""A race without its runs: what is left to do after a kill, who is left, and what the budget has left."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.config.run_identity import identity
from hardneg.errors import ConfigError, JobFailed
from hardneg.race.arm_state import IDENTITY
from hardneg.race.budget import AtTheEnd, RacePlan, Timing
from hardneg.race.decide import Verdict
from hardneg.race.executor import Executor
from hardneg.race.final_runs import FinalRuns, failed_ends, try_again
from hardneg.race.outcome import RaceOutcome
from hardneg.race.portfolio import EnteredArm, RaceSettings
from hardneg.race.race import CLOSING, Race, indented, note_checks
from hardneg.race.record import Record
from hardneg.race.timing import _timed, leave_out_duplicates, planned, untimed
from hardneg.runs import status
from hardneg.sweep.jobs import Job

ARMS = {"in_batch": [], "alike": [], "random": []}
TIMING = {"step": 0.01, "evaluation": 0.1, "start": 1.0}


@pytest.fixture
def race(tmp_path):
    """A race in which nothing has been done yet."""
    return opened(tmp_path)


def opened(folder, n_jobs=1):
    settings = RaceSettings("10m", ARMS, rungs=2, seeds=1)
    config = OmegaConf.create({"hydra": {"launcher": {"n_jobs": n_jobs}, "overrides": {"hydra": []}}})
    record = Record(optuna.create_study(direction="maximize"), folder)
    record.enter(ARMS, {"budget": "10m"})
    arms = {name: EnteredArm(name, (), ()) for name in ARMS}
    return Race(settings, folder, arms, Executor(config, BasicLauncher(), folder), record, "ndcg@10", AtTheEnd(2, True))


def timed(race, *names):
    """Note that arms were timed, and that `alike` comes to the run of in_batch."""
    for name in names:
        race.record.timed(name, Timing(**TIMING), "x" if name != "random" else "y", 1.0)


@pytest.mark.parametrize("cut", ["keep", "stop"])
def test_a_kill_while_an_arm_is_left_out_costs_no_timing_and_ends(race, cut, monkeypatch):
    timed(race, *ARMS)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Record, cut, killed)
        leave_out_duplicates(race)
    assert race.record.racing() == list(ARMS) and untimed(race) == []
    leave_out_duplicates(race)
    assert race.record.racing() == ["in_batch", "random"] and untimed(race) == []
    assert list(planned(race).unit) == ["in_batch", "random"]


def test_what_was_cut_off_before_its_timing_was_noted_is_timed_again(race):
    timed(race, "in_batch")
    race.record._trial("alike").set_user_attr(IDENTITY, "x")
    assert [work.name for work in untimed(race)] == ["time_alike", "time_random"]


@pytest.mark.parametrize("baseline", ["in_batch", "random"])
def test_the_baseline_is_timed_first_and_over_all_documents(race, baseline):
    race.settings = replace(race.settings, baseline=baseline)
    works = untimed(race)
    assert [work.arm for work in works] == [baseline, *(arm for arm in ARMS if arm != baseline)]
    assert [work.part["over_all"] for work in works] == [True, False, False]


@pytest.mark.parametrize("others_first", [False, True])
def test_a_budget_too_small_for_ranking_all_documents_is_refused_when_the_baseline_is_timed(
    race, others_first, tmp_path
):
    """Also where another process has timed an arm before."""
    if others_first:
        timed(race, "random")
    work = untimed(race)[0]
    status.write(tmp_path / "x", state="paused", batch_size=64, identity="x", timing=TIMING | {"over_all": 400.0})
    with pytest.raises(ConfigError, match=r"400 s over all documents.*evaluate.compare_with_all=false"):
        _timed(race, work, Job(0, [], OmegaConf.create({"batch_size": 64}), tmp_path / "x", work.name), 1.0)


@pytest.mark.parametrize("number", [0.005, 0.01])
def test_an_arm_with_a_rate_of_its_own_is_not_the_one_whose_rate_follows_from_the_length(race, number, tmp_path):
    encoders = {"in_batch": {"lr": "auto"}, "alike": {"lr": "auto", "batch_size": 512}, "random": {"lr": number}}
    for work in untimed(race):
        cfg = OmegaConf.create(
            {"batch_size": "auto", "encoder": encoders[work.arm], "optimizer": {"lr": "${encoder.lr}"}}
        )
        folder = tmp_path / work.name
        auto = {"learning_rate": 0.005} if work.arm != "random" else {}  # as a run of a million steps takes it
        status.write(folder, state="paused", batch_size=64, timing=TIMING, **auto)
        status.write(folder, identity=identity(cfg, folder))
        _timed(race, work, Job(0, [], cfg, folder, work.name), 1.0)
    leave_out_duplicates(race)
    assert race.record.left_out() == {"alike": "in_batch"}


def fail(race, arm):
    race.failed(arm, "out of memory", Job(0, [], OmegaConf.create(), race.folder, arm))


def test_an_arm_that_was_left_out_is_no_rival_when_the_last_of_them_fails(race):
    timed(race, *ARMS)
    leave_out_duplicates(race)
    race.check_rivals()
    with pytest.raises(JobFailed, match="all arms but in_batch and what comes to the same run as another have failed"):
        fail(race, "random")


def test_all_rivals_that_failed_while_they_were_timed_are_told_once_the_same_are_left_out(race):
    timed(race, "in_batch", "alike")
    fail(race, "random")  # alike may race still
    leave_out_duplicates(race)
    with pytest.raises(JobFailed, match="have failed"):
        race.check_rivals()


def test_an_arm_that_was_stopped_counts_as_a_rival(race):
    race.record.stop("alike")
    fail(race, "random")
    race.check_rivals()


def test_all_others_that_failed_end_the_race(race):
    fail(race, "alike")
    with pytest.raises(JobFailed, match="all arms but the baseline have failed"):
        fail(race, "random")


def test_a_run_at_the_end_that_failed_is_tried_once_at_each_start_of_the_race(race):
    race.record.report("random", 1, 0.5, 1.0)
    race.record.keep("seconds_end_one", 1.0)
    plan = RacePlan(dict.fromkeys(ARMS, 5), training=1.0, longest=9.0, seeds=1)
    end = FinalRuns(race, RaceOutcome(race, plan, Verdict("in_batch", "random", ["in_batch", "random"], 0.01, 0.02)), 2)
    random = next(work for work in end.wanted() if work.arm == "random")
    job = Job(0, [], OmegaConf.create(), race.folder / "end" / "random-s2", "random-s2")
    status.write(job.folder, state="failed", error="out of memory")
    end._ended(random, job, 1.0)
    assert [work.arm for work in end.wanted()] == ["in_batch"] and failed_ends(race.record)
    try_again(race.record)
    assert [work.arm for work in end.wanted()] == ["in_batch", "random"] and not failed_ends(race.record)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_seconds_in_which_nothing_runs_count_for_every_run_that_could(tmp_path, n_jobs):
    race = opened(tmp_path, n_jobs)
    race.record.keep("seconds_other", 10.0)
    note_checks(race, 4.0)
    assert race.left() == 600.0 * n_jobs - 10.0 - (4.0 + CLOSING) * n_jobs


def test_what_is_listed_fits_a_terminal_and_is_broken_between_items_only():
    lines = indented([f"arm_{n} (p 0.{n:03})" for n in range(12)], "on: ").split("\n")
    assert len(lines) > 2 and max(map(len, lines)) <= 80 and all(line.startswith("  ") for line in lines)
    assert all(line.rstrip(",").endswith(")") for line in lines)
