"""A budget becomes steps: the same time for every arm, and what does not fit is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from confs import CONF
from omegaconf import OmegaConf

from hardneg.commands.race import command_of
from hardneg.errors import ConfigError
from hardneg.race.budget import SMALL, AtTheEnd, Costs, Timing, plan, room, runs_at_the_end, seconds_of
from hardneg.race.decide import Rules

TIMED = Timing(0.01, 0.5, 1.0)
END = AtTheEnd(2, True)  # tested before and after


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90), ("1d", 86400)]
)
def test_durations(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "30 m", "30min", None, "0s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError, match="give a duration, such as budget=30m"):
        seconds_of(text)


def test_help_settings_and_guide_say_alike_what_the_budget_is(capsys):
    with pytest.raises(SystemExit):
        command_of(["--help"])
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "race.md").read_text(encoding="utf-8")
    settings = (CONF / "hydra" / "sweeper" / "race.yaml").read_text(encoding="utf-8")
    for text in (capsys.readouterr().out, guide, settings):
        assert "the time for the race itself, beginning with the check of its arms: " in " ".join(text.split())


def test_every_arm_trains_for_the_same_time_and_the_worst_case_fits():
    rules = Rules(4, rungs=3)
    timings = {"in_batch": TIMED, "a": replace(TIMED, step=0.02, start=3.0), "b": replace(TIMED, step=0.04)}
    timings["c"] = timings["a"]
    found = plan(timings, rules, 3, END, 600.0)
    assert found.unit["in_batch"] == pytest.approx(4 * found.unit["b"], abs=4)
    # 4 arms to 1, 3 to 2, 2 to 4 lengths of a first rung, of which a whole run has 4; then 7 whole runs.
    units, starts, ends = 4 + 3 + 4, 4 + 3 + 2, 7
    worst = units * (found.training / 4 + 0.5) + starts * 1.0 + ends * (found.training + (4 + 2) * 0.5 + 1.0)
    assert worst == pytest.approx(600.0) == pytest.approx(found.longest)
    assert runs_at_the_end(4, 3) == 7 and runs_at_the_end(2, 3) == 6


def test_a_budget_that_is_too_small_is_told_with_the_least():
    timings = dict.fromkeys(["in_batch", "a"], Timing(1.0, 10.0, 5.0))
    with pytest.raises(ConfigError, match=r"1:00 are left of the budget, and this race needs (\d+:\d+) at") as said:
        plan(timings, Rules(2), 3, END, 60.0)
    assert "fewer arms" not in str(said.value), "two are the fewest"
    assert "(evaluate.documents=subset)" in str(said.value)
    with pytest.raises(
        ConfigError, match=r"9 s to choose its subset, 8 s over all documents.*\.model=0 spares.*compare_with_all"
    ):
        plan(dict.fromkeys(timings, Timing(1.0, 10.0, 5.0, 9.0, 8.0)), Rules(2), 3, END, 60.0)
    for count, advice in ((4, "a longer budget, fewer arms, fewer looks"), (5, r"fewer arms \(race=small\), fewer")):
        with pytest.raises(ConfigError, match=advice):
            plan(dict.fromkeys("abcde"[:count], Timing(1.0, 10.0, 5.0)), Rules(count), 3, END, 60.0)
    for rungs, advice in (
        (4, r"fewer looks \(rungs=3\), or a"),
        (3, r"looks \(rungs=2\), or a"),
        (1, "longer budget, or a"),
    ):
        with pytest.raises(ConfigError, match=advice):
            plan(timings, Rules(2, rungs=rungs), 3, END, 30.0)
    minutes, seconds = str(said.value).split("needs ")[1].split(" ")[0].split(":")
    least = 60 * int(minutes) + int(seconds)
    found = plan(timings, Rules(2), 3, END, least + 1.0)
    assert found.unit == {"in_batch": 5, "a": 5} and found.seeds == 1
    assert plan(timings, Rules(2), 3, END, 3.0 * least).seeds == 3


@pytest.mark.parametrize(
    ("end", "besides"),
    [
        (AtTheEnd(2, True), 2 * 100.0 + 1.0 + 2 * 100.0 + 1.0),  # two tests with dev at step 0; dev over all, twice
        (AtTheEnd(1, True), 100.0 + 2 * 100.0 + 1.0),
        (AtTheEnd(0, True), 2 * 100.0 + 1.0),
        (AtTheEnd(tests=0, compares=False), 0.0),
    ],
)
def test_what_a_subset_saves_is_not_counted(end, besides):
    """Only runs at the end rank all documents, and not at each look: of a large corpus that would be most of it."""
    timings = dict.fromkeys(["in_batch", "a"], Timing(0.1, 1.0, 2.0, choice=90.0))
    timings["in_batch"] = replace(timings["in_batch"], over_all=100.0)
    rules = Rules(2, rungs=2)
    found = plan(timings, rules, 1, end, 3000.0)
    # 2 arms to 1 and to 2 lengths of a first rung, of which a whole run has 2; then 2 whole runs.
    looks, runs = 2 * 1 + 2 * 1, 2
    arms = looks * (found.training / 2 + 1.0) + 2 * 2 * 2.0 + 2 * 90.0
    ends = runs * (found.training + 2 * 1.0 + 2.0 + 90.0 + besides)
    assert arms + ends == pytest.approx(3000.0)
    cost = Costs(rules, found.training, Timing.of_arms(timings.values()), end)
    assert cost.rung(1) - cost.rung(2) == pytest.approx(90.0)
    assert cost.at_the_end() == pytest.approx(ends / runs)


@pytest.mark.parametrize(("end", "tests"), [(AtTheEnd(2, True), 2), (AtTheEnd(1, True), 1), (AtTheEnd(0, True), 0)])
def test_without_a_test_none_is_planned(end, tests):
    timings = dict.fromkeys(["in_batch", "a"], TIMED)
    rules = Rules(2, rungs=1)
    cost = Costs(rules, plan(timings, rules, 1, end, 600.0).training, TIMED, end)
    assert cost.at_the_end() == pytest.approx(cost.rung(1) + tests * 0.5)


def test_the_race_that_is_advised_for_its_fewer_arms_has_so_many():
    assert len(OmegaConf.load(CONF / "race" / "small.yaml")) == SMALL
    assert len(OmegaConf.load(CONF / "race" / "default.yaml")) > SMALL


def test_what_idle_places_take_is_planned_too():
    rules, timings = Rules(3, rungs=1), dict.fromkeys(["in_batch", "a", "b"], TIMED)
    found = plan(timings, rules, 1, END, 600.0, at_once=2)
    # 3 arms take the time of 4, and 3 runs at the end too.
    arm = found.training + 0.5 + 1.0
    assert 4 * arm + 4 * (arm + 2 * 0.5) == pytest.approx(600.0)
    with pytest.raises(ConfigError, match="0:05 are left of the budget"):
        plan(timings, rules, 1, END, 10.0, at_once=2)


def test_room_is_what_the_time_left_allows_after_two_arms_and_the_end():
    timings = dict.fromkeys(["in_batch", "a"], Timing(0.1, 1.0, 2.0))
    cost = Costs(Rules(8, rungs=4), 72.0, Timing.of_arms(timings.values()), END, pace=2.0)
    # A first length is 9 s and 1 s of evaluation, a start 2 s, and all takes twice as long.
    assert [cost.rung(rung) for rung in (1, 2, 3, 4)] == [24.0, 24.0, 44.0, 84.0]
    assert cost.at_the_end() == 2 * (80 + 2 + 2)
    two_of_them, ends = 2 * (44.0 + 84.0), 3 * 168.0
    assert room(two_of_them + ends + 4.9 * 24.0, cost, 1, 3) == 4
    assert room(0.0, cost, 1, 3) == 2
    assert room(two_of_them + 4 * 168.0 + 5.9 * 24.0, cost, 1, 3, at_once=2) == 4
