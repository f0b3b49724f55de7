"""What a race has come to: which runs its end has, who wins, what is to be taken, and the words that say why."""

from __future__ import annotations

import re

import numpy as np
import optuna
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.race.budget import Plan
from hardneg.race.course import Course
from hardneg.race.crew import Crew
from hardneg.race.decide import Look, Verdict
from hardneg.race.outcome import Outcome, conclude
from hardneg.race.portfolio import Entry, Settings
from hardneg.race.record import Record
from hardneg.runs.rungs import DevValues

ARMS = ("in_batch", "random", "bm25")


def outcome(tmp_path, taken="bm25", lead=0.02, leader="bm25"):
    """A race of three arms whose looks are over, with one run of each at its last rung."""
    config = OmegaConf.create({"hydra": {"launcher": {}, "overrides": {"hydra": []}}})
    record = Record(optuna.create_study(direction="maximize"), tmp_path)
    settings = Settings("10m", {name: [] for name in ARMS})
    record.enter(settings.arms, {"budget": "10m"})
    for name, dev in zip(ARMS, (0.50, 0.51, 0.52), strict=True):
        record.report(name, settings.rungs, dev, 1.0)
    record.looked(Look(1, leader, 0.001, {}, worse=["random"]))
    entries = {name: Entry(name, (), ()) for name in ARMS}
    course = Course(settings, tmp_path, entries, Crew(config, BasicLauncher(), tmp_path), record, "ndcg@10")
    plan = Plan(dict.fromkeys(ARMS, 10), 1.0, 1.0, 1.0, 3)
    return Outcome(course, plan, Verdict(taken, leader, [leader], lead, 0.01))


def dev(gain, seeds=(2, 3, 4), spread=0.01, queries=400):
    """Dev values of the baseline and of bm25, which is better by `gain`."""
    rng, easy = np.random.default_rng(0), np.random.default_rng(1).random(queries)

    def run(more):
        values = easy + more + spread * rng.normal(size=queries)
        return DevValues(10, float(values.mean()), np.arange(queries), values)

    return {name: {seed: run(more) for seed in seeds} for name, more in (("in_batch", 0.0), ("bm25", gain))}


def test_the_end_trains_what_the_test_of_a_winner_needs_before_the_runner_up(tmp_path):
    pair = [("bm25", 2), ("bm25", 3), ("bm25", 4), ("in_batch", 2), ("in_batch", 3), ("in_batch", 4)]
    found = outcome(tmp_path).queue(2)
    assert sorted(found[:6]) == pair and found[:2] == [("bm25", 2), ("in_batch", 2)]
    assert [name for name, _ in found[6:]] == ["random"] * 3


def test_where_the_baseline_is_taken_the_runner_up_is_trained_beside_it(tmp_path):
    found = outcome(tmp_path, taken="in_batch").queue(2)
    assert found == [(name, seed) for seed in (2, 3, 4) for name in ("in_batch", "bm25")]


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
