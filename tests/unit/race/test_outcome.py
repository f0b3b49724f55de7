"""What a race has come to: which runs its end has, who wins, what is to be taken, and the words that say why."""

from __future__ import annotations

import re

import numpy as np
import optuna
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.race.budget import AtTheEnd, RacePlan
from hardneg.race.decide import Look, Verdict
from hardneg.race.executor import Executor
from hardneg.race.final_runs import FAILED, FinalRuns
from hardneg.race.outcome import RaceOutcome, conclude
from hardneg.race.portfolio import EnteredArm, RaceSettings
from hardneg.race.race import Race
from hardneg.race.record import Record
from hardneg.runs.rungs import DevValues

ARMS = ("in_batch", "random", "bm25")


def outcome(tmp_path, taken="bm25", lead=0.02, leader="bm25"):
    """A race of three arms whose looks are over, with one run of each at its last rung."""
    config = OmegaConf.create({"hydra": {"launcher": {}, "overrides": {"hydra": []}}})
    record = Record(optuna.create_study(direction="maximize"), tmp_path)
    settings = RaceSettings("10m", {name: [] for name in ARMS})
    record.enter(settings.arms, {"budget": "10m"})
    for name, dev in zip(ARMS, (0.50, 0.51, 0.52), strict=True):
        record.report(name, settings.rungs, dev, 1.0)
    record.looked(Look(1, leader, 0.001, {}, worse=["random"]))
    entries = {name: EnteredArm(name, (), ()) for name in ARMS}
    race = Race(
        settings, tmp_path, entries, Executor(config, BasicLauncher(), tmp_path), record, "ndcg@10", AtTheEnd(2, True)
    )
    plan = RacePlan(dict.fromkeys(ARMS, 10), 1.0, 1.0, 3)
    return RaceOutcome(race, plan, Verdict(taken, leader, [leader], lead, 0.01))


def dev(gain, seeds=(2, 3, 4), spread=0.01, queries=400):
    """Dev values of the baseline and of bm25, which is better by `gain`."""
    rng, easy = np.random.default_rng(0), np.random.default_rng(1).random(queries)

    def run(more):
        values = easy + more + spread * rng.normal(size=queries)
        return DevValues(10, float(values.mean()), np.arange(queries), values)

    return {name: {seed: run(more) for seed in seeds} for name, more in (("in_batch", 0.0), ("bm25", gain))}


def test_the_end_trains_what_the_test_of_a_winner_needs_before_the_runner_up(tmp_path):
    found = outcome(tmp_path).runs_anew(2)
    assert found[:3] == [(("bm25", seed), ("in_batch", seed)) for seed in (2, 3, 4)]
    assert found[3:] == [(("random", seed),) for seed in (2, 3, 4)]


def test_where_the_baseline_is_taken_the_runner_up_is_trained_beside_it(tmp_path):
    found = outcome(tmp_path, taken="in_batch").runs_anew(2)
    assert found == [(("in_batch", seed), ("bm25", seed)) for seed in (2, 3, 4)]


def end_with(tmp_path, runs, taken="bm25", n_jobs=1):
    """The end of a race whose runs take 10 seconds each, with time for so many of them."""
    said = outcome(tmp_path, taken)
    said.race.executor.n_jobs = n_jobs
    said.race.budget = 600.0 * n_jobs
    said.race.record.keep("seconds_end_one", 10.0)
    said.race.record.keep("seconds_other", said.race.left() - 10.0 * runs)
    return FinalRuns(said.race, said, 2)


@pytest.mark.parametrize(
    ("runs", "wanted"),
    [
        (1, ["bm25-s2", "in_batch-s2"]),  # whatever the time
        (3, ["bm25-s2", "in_batch-s2", "random-s2"]),  # half a pair would tell nothing, a runner-up does
        (4, ["bm25-s2", "in_batch-s2", "bm25-s3", "in_batch-s3"]),
        (5, ["bm25-s2", "in_batch-s2", "bm25-s3", "in_batch-s3", "random-s2"]),
    ],
)
def test_a_new_seed_is_begun_only_with_time_for_both_runs_of_the_pair(tmp_path, runs, wanted):
    assert [f"{work.arm}-s{work.seed}" for work in end_with(tmp_path, runs).wanted()] == wanted


@pytest.mark.parametrize(("runs", "wanted"), [(1, ["in_batch-s2"]), (3, ["in_batch-s2", "bm25-s2"])])
def test_where_the_baseline_is_taken_its_seeds_too_are_begun_in_pairs(tmp_path, runs, wanted):
    assert [f"{work.arm}-s{work.seed}" for work in end_with(tmp_path, runs, "in_batch").wanted()] == wanted


def test_the_other_run_of_a_pair_is_trained_once_one_has_ended(tmp_path):
    end = end_with(tmp_path, 1)
    end.record.keep("ends", {f"{name}-s2": [name, 2] for name in ("bm25", "in_batch")} | {"bm25-s4": ["bm25", 4]})
    assert [f"{work.arm}-s{work.seed}" for work in end.wanted()] == ["in_batch-s4"]


@pytest.mark.parametrize(
    ("failed", "wanted"),
    [
        ("bm25-s3", ["bm25-s4", "in_batch-s4", "random-s2", "random-s4"]),
        ("in_batch-s4", ["bm25-s3", "in_batch-s3", "random-s2", "random-s3"]),
        ("random-s2", ["bm25-s3", "in_batch-s3", "bm25-s4", "in_batch-s4", "random-s3", "random-s4"]),
    ],
)
def test_what_would_be_compared_with_a_run_that_failed_is_not_begun(tmp_path, failed, wanted):
    end = end_with(tmp_path, 9)
    end.record.keep("ends", {f"{name}-s2": [name, 2] for name in ("bm25", "in_batch")})
    end.record.keep(FAILED, {failed: "out of memory"})
    assert [f"{work.arm}-s{work.seed}" for work in end.wanted()] == wanted


def test_a_runner_up_is_not_trained_on_a_seed_that_there_was_no_time_for(tmp_path):
    end = end_with(tmp_path, 1)
    end.record.keep("ends", {f"{name}-s2": [name, 2] for name in ("bm25", "in_batch", "random")})
    assert end.wanted() == []


def test_what_the_verdict_goes_by_is_said_with_the_runs_and_the_seeds(tmp_path):
    said = outcome(tmp_path)
    assert said.goes_by(dev(0.02)) == (
        "the verdict goes by dev ndcg@10 of the 3 new seeds that both bm25 and in_batch were trained on; the test has"
        " no part in it"
    )
    assert "of the one new seed that both bm25 and in_batch" in said.goes_by(dev(0.02, seeds=(2,)))


def test_a_verdict_for_the_baseline_goes_by_the_race_itself(tmp_path):
    assert "dev ndcg@10 in the race itself, one run of each arm" in outcome(tmp_path, "in_batch").goes_by(dev(0.02))


def test_an_arm_that_is_better_on_other_seeds_wins(tmp_path):
    end = conclude(outcome(tmp_path), dev(0.02))
    assert (end.winner, end.take) == ("bm25", "bm25")
    assert re.match(r"Winner: bm25, dev ndcg@10 \+0\.0\d+ \[\+0.*\] over 3 new seeds, p .*, against in_batch", end.why)
    assert end.why.endswith("Stopped as worse than the best of their rung: random.")


def test_one_that_is_ahead_there_by_more_than_its_error_is_taken_and_named_no_winner(tmp_path):
    end = conclude(outcome(tmp_path), dev(0.005, spread=0.055))
    assert end.found.difference > end.found.error and end.found.p > 0.05
    assert (end.winner, end.take) == (None, "bm25")
    assert "No winner: that bm25 is better than in_batch is not proven" in end.why and "to be below 0.05" in end.why
    assert "Take bm25, which is ahead by more than one standard error" in end.why


def test_one_that_is_not_ahead_on_other_seeds_is_not_taken(tmp_path):
    end = conclude(outcome(tmp_path), dev(-0.02))
    assert (end.winner, end.take) == (None, "in_batch") and "Take in_batch, the simplest" in end.why
    assert "bm25, which led in the race, is not better than in_batch on other seeds" in end.why


def test_too_few_seeds_name_no_winner_yet(tmp_path):
    end = conclude(outcome(tmp_path), dev(0.02, seeds=(2,)))
    assert (end.winner, end.take) == (None, "bm25") and end.found.p is None
    assert "No winner yet" in end.why and "over 1 new seed, too few to test it" in end.why


@pytest.mark.parametrize(
    ("leader", "words"),
    [
        ("in_batch", "in_batch, the simplest, is the best on dev itself"),
        ("bm25", "bm25, is ahead of in_batch by 0.0050"),
    ],
)
def test_a_baseline_within_one_standard_error_of_the_best_is_taken_untested(tmp_path, leader, words):
    end = conclude(outcome(tmp_path, taken="in_batch", lead=0.005, leader=leader), dev(0.02))
    assert (end.winner, end.take, end.found) == (None, "in_batch", None)
    assert words in end.why
