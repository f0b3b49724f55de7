"""A whole race by a clock of its own: it ends within its budget, or says beforehand that it will not."""

from __future__ import annotations

import itertools
import re
import time
import zlib

import numpy as np
import optuna
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.errors import ConfigError
from hardneg.race.budget import AtTheEnd
from hardneg.race.executor import Executor
from hardneg.race.final_runs import FinalRuns
from hardneg.race.looks import Rungs
from hardneg.race.outcome import RaceOutcome
from hardneg.race.portfolio import EnteredArm, RaceSettings
from hardneg.race.race import Race
from hardneg.race.record import Record
from hardneg.race.timing import lengths
from hardneg.runs import rungs, status
from hardneg.sweep.jobs import Job

BUDGET = 600.0
EASY = np.random.default_rng(0).random(100) * 0.4


class Timed(Executor):
    """Runs that take as long as they were timed to take, times `slower`, once all are timed."""

    def __init__(self, folder, n_jobs, slower, effect, best):
        config = OmegaConf.create({"hydra": {"launcher": {"n_jobs": n_jobs}, "overrides": {"hydra": []}}})
        super().__init__(config, BasicLauncher(), folder)
        self.slower, self.effect, self.best = slower, effect, best
        self.clock, self.ends = 0.0, 0

    def _launched(self, works):
        found = [self._one(work) for work in works]
        longest = max(seconds for *_, seconds in found)
        self.clock += longest
        return [(work, job, longest) for work, job, _ in found]

    def _one(self, work):
        kind = work.name.split("_")[0]
        folder = self.folder / {"time": "time", "arm": "arms", "end": "end"}[kind] / work.name.partition("_")[2]
        folder.mkdir(parents=True, exist_ok=True)
        job = Job(1, work.words, OmegaConf.create(), folder, work.name)
        step, evaluation, start = 0.02 * (1 + len(work.arm) % 3), 0.5, 3.0
        if kind == "time":
            timing = {"step": step, "evaluation": evaluation, "start": start}
            status.write(folder, state="paused", identity=work.arm, timing=timing)
            return work, job, start + 2.5 + evaluation
        given = dict(word.split("=", 1) for word in work.words if "=" in word)
        steps, every = int(given["trainer.max_steps"]), int(given["evaluate.every_n_steps"])
        before = max((at for at, _ in rungs.curve(folder)), default=0)
        until = work.part.get("until", steps)
        rng = np.random.default_rng(zlib.crc32(work.name.encode()))
        for at in range(before + every, until + 1, every):
            values = np.clip(EASY + self.effect * (work.arm == self.best) + 0.05 * rng.normal(size=100), 0, 1)
            rungs.note(folder, np.arange(100), values, at, float(values.mean()))
        status.write(folder, state="paused" if work.part else "done")
        self.ends += kind == "end"
        seconds = (until - before) * step + (until - before) // every * evaluation + start
        return work, job, self.slower * (seconds + 2 * evaluation * (kind == "end"))


def raced(folder, n_jobs=1, slower=1.0, effect=0.0, best="bm25", budget="10m"):
    folder.mkdir(exist_ok=True)
    arms = ["in_batch", "large", "random", "bm25", "window", "mined", "both"]
    settings = RaceSettings(budget, {name: [] for name in arms})
    record = Record(optuna.create_study(direction="maximize"), folder)
    record.enter(settings.arms, {"budget": budget})
    executor = Timed(folder, n_jobs, slower, effect, best)
    race = Race(
        settings,
        folder,
        {name: EnteredArm(name, (), ()) for name in arms},
        executor,
        record,
        "ndcg@10",
        AtTheEnd(2, True),
    )
    plan = lengths(race)
    said = Rungs(race, plan).run()
    FinalRuns(race, RaceOutcome(race, plan, said), 2).run()
    assert said.taken == best or not effect
    return executor


@pytest.mark.parametrize(
    ("n_jobs", "slower", "effect"), [(1, 1.0, 0.0), (1, 0.7, 0.3), (1, 1.3, 0.3), (2, 1.0, 0.3), (3, 1.0, 0.0)]
)
def test_a_race_ends_within_its_budget(tmp_path, caplog, n_jobs, slower, effect):
    caplog.set_level("INFO", "hardneg")
    executor = raced(tmp_path, n_jobs, slower, effect)
    assert 0.6 * BUDGET < executor.clock <= BUDGET
    assert executor.ends >= 6 or slower > 1
    assert "over its budget" not in caplog.text


def test_a_race_that_cannot_says_so_at_its_looks_and_by_how_much(tmp_path, caplog):
    executor = raced(tmp_path, slower=3.0, effect=0.3)
    assert executor.clock > BUDGET and executor.ends == 2, "the arm to take, and the baseline that it is compared to"
    said = re.findall(r"the race (may|will) go over its budget by about (\d+):(\d\d)", caplog.text)
    assert [how for how, *_ in said] == ["may", "may", "may", "will"], "at the looks, and before the last runs"
    told = [60 * int(minutes) + int(seconds) for _, minutes, seconds in said]
    over = executor.clock - BUDGET
    assert all(one == pytest.approx(over, rel=0.1) for one in told)


def test_an_excess_of_a_few_seconds_that_is_foreseen_in_the_middle_is_not_told(tmp_path, caplog):
    executor = raced(tmp_path, slower=2.1, effect=0.3)
    assert 0.98 * BUDGET < executor.clock <= BUDGET and "over its budget" not in caplog.text


def test_what_is_foreseen_in_the_middle_may_be_and_is_told_so(tmp_path, caplog):
    """An arm leads at every look, and at the end the baseline is taken after all, which takes one run less."""
    executor = raced(tmp_path, slower=2.4, effect=0.0)
    assert executor.clock <= BUDGET and executor.ends == 1
    assert caplog.text.count("the race may go over its budget by about") == 3 and "will go over" not in caplog.text


def test_where_the_baseline_leads_and_time_is_up_it_is_tested_alone(tmp_path):
    assert raced(tmp_path, slower=3.0, effect=0.3, best="in_batch").ends == 1


def test_clocks_that_disagree_by_minutes_change_nothing(tmp_path, monkeypatch):
    """As of two machines that share a race: what is decided goes by durations and locks."""
    agreeing = raced(tmp_path / "one", effect=0.3)
    real, off = time.time, itertools.cycle([-600.0, 600.0])
    monkeypatch.setattr(time, "time", lambda: real() + next(off))
    disagreeing = raced(tmp_path / "two", effect=0.3)
    assert (disagreeing.clock, disagreeing.ends) == (agreeing.clock, agreeing.ends)


def test_a_budget_that_is_told_once_all_are_timed_is_enough_and_before_it_is_at_least(tmp_path):
    first, advice = r"so budget=(\d+s) at least, and perhaps more once", r"so about budget=(\d+s) or more: 7 arms"
    told = ["20s"]
    for says in first, advice:
        with pytest.raises(ConfigError, match=says) as refused:
            raced(tmp_path / told[-1], budget=told[-1])
        told.append(re.search(says, str(refused.value))[1])
    seconds = [int(budget[:-1]) for budget in told]
    assert seconds == sorted(seconds)
    assert raced(tmp_path / told[-1], budget=told[-1]).clock <= seconds[-1]
