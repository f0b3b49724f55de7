"""How a budget of time is dealt out: how many steps each arm has, so that all train for the same time."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hardneg.errors import ConfigError
from hardneg.race.decide import Rules
from hardneg.system.progress import clock

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SMALL = 4  # arms of race=small; a test counts them
LEAST = 5  # steps of a first rung: with fewer there is nothing to see


def seconds_of(text: object) -> float:
    """Read 90s, 30m, 2h, 1h30m; raises `ConfigError` for anything else."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", str(text))
    total = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != str(text) or total <= 0:
        raise ConfigError(f"budget={text}: give a duration, such as budget=30m, 2h, 90s or 1h30m")
    return total


@dataclass(frozen=True)
class Timing:
    """Seconds of an arm: of a step (with its share of mining again), of a dev evaluation, of a run's start.

    Where dev has a subset, else 0: of choosing it (`choice`), before the first step, and of ranking dev over all
    documents beside it (`over_all`), as the first evaluation and the end of a run do.
    """

    step: float
    evaluation: float
    start: float
    choice: float = 0.0
    over_all: float = 0.0

    @property
    def first(self) -> float:
        """What a run takes before its second evaluation, and never again."""
        return self.choice + self.over_all

    @property
    def closing(self) -> float:
        """What it takes after its last step, where dev has a subset: the ranking over it and that over all again."""
        return self.over_all + self.evaluation if self.over_all else 0.0

    @property
    def once(self) -> float:
        """What a run takes besides steps, evaluations and tests, if it goes from its start to its end at one go."""
        return self.start + self.first + self.closing

    @property
    def tests(self) -> float:
        """What a test before and one after take, which rank all documents; beside a subset also dev at step 0."""
        return 2 * self.over_all + self.evaluation if self.over_all else 2 * self.evaluation

    @classmethod
    def of_arms(cls, timings: Collection[Timing]) -> Timing:
        """The mean of several arms; what the first leaves in the cache for the others, they are taken to find there."""
        means = ("step", "evaluation", "over_all")
        mean = {name: sum(getattr(one, name) for one in timings) / len(timings) for name in means}
        return cls(**mean, start=min(one.start for one in timings), choice=min(one.choice for one in timings))


@dataclass(frozen=True)
class Plan:
    """The steps of each arm's first rung (`unit`), and how long all trains at most.

    `seeds` is how many the runs at the end are sure to have.
    """

    unit: dict[str, int]
    training: float  # seconds of training of one whole run, the same for all arms
    cost: float  # seconds of one whole run, from its start to its end
    longest: float  # seconds of the race if no arm proves worse than another, and of the runs at its end
    seeds: int


def runs_at_the_end(arms: int, seeds: int) -> int:
    """How many runs are planned: the winner and the baseline on all seeds, the runner-up on one."""
    return 2 * seeds + (arms > 2)


def slots(runs: int, at_once: int) -> int:
    """Round a number of runs up to whole rounds of `at_once`: in the last round some places may stay idle."""
    return math.ceil(runs / at_once) * at_once


def plan(
    timings: Mapping[str, Timing],
    rules: Rules,
    seeds: int,
    seconds: float,
    at_once: int = 1,
    taken: float = 0.0,
    all_timed: bool = True,
) -> Plan:
    """Find the longest training that fits, the same seconds for every arm; `seconds` is what is left of the budget.

    `taken` is what a budget loses before, and to what is no run. All are summed over the `at_once` runs that go at a
    time. The plan is for the worst case, in which no arm proves worse than another and each rung keeps as many as it
    may. Where `seeds` do not fit, it is made with fewer. Raises `ConfigError` with the least budget where one seed and
    `LEAST` steps a rung do not fit; unless `all_timed`, it says that the least may turn out to be more.
    """
    for count in range(max(seeds, 1), 0, -1):
        need = _need(timings, rules, count, at_once)
        if seconds >= need.least:
            training = (seconds - need.fixed) / need.lengths
            unit = {name: max(LEAST, math.floor(training / rules.whole / one.step)) for name, one in timings.items()}
            cost = training + rules.whole * need.mean.evaluation + need.mean.once
            return Plan(unit, training, cost, need.fixed + need.lengths * training, count)
    raise ConfigError(_too_small(need, len(timings), rules.rungs, seconds, at_once, taken, all_timed))


@dataclass(frozen=True)
class _Need:
    """What a race takes in the worst case: `fixed` seconds, and `lengths` times the training of a whole run.

    `least` are the seconds with `LEAST` steps in a first rung; `ends` runs are at the end.
    """

    fixed: float
    lengths: float
    least: float
    ends: int
    slowest: float  # seconds of a step, of any arm
    mean: Timing


def _need(timings: Mapping[str, Timing], rules: Rules, seeds: int, at_once: int) -> _Need:
    count, whole = len(timings), rules.whole
    mean = Timing.of_arms(timings.values())
    arms = {rung: count if rung == 1 else min(count, rules.most(rung - 1)) for rung in range(1, rules.rungs + 1)}
    arms = {rung: slots(there, at_once) for rung, there in arms.items()}
    units = sum(there * rules.stretch(rung) for rung, there in arms.items())
    ends = slots(runs_at_the_end(count, seeds), at_once)
    fixed = units * mean.evaluation + sum(arms.values()) * mean.start
    fixed += arms[1] * mean.first + arms[rules.rungs] * mean.closing
    fixed += ends * (whole * mean.evaluation + mean.once + mean.tests)
    lengths = units / whole + ends
    slowest = max(timing.step for timing in timings.values())
    least = fixed + lengths * LEAST * slowest * whole
    return _Need(fixed, lengths, least, ends, slowest, mean)


def _too_small(need: _Need, arms: int, rungs: int, seconds: float, at_once: int, taken: float, all_timed: bool) -> str:
    """Say what a race takes at least, why, and what would make it less."""
    fewer = "fewer arms (race=small), " if arms > SMALL else "fewer arms, " if arms > 2 else ""
    looks = f"fewer looks (rungs={rungs - 1}), " if rungs > 1 else ""
    budget = f"budget={math.ceil((taken + need.least) / at_once)}s"
    told = f"about {budget} or more" if all_timed else f"{budget} at least, and perhaps more once all arms are timed"
    mean, subset, cheaper = need.mean, "", "evaluate.documents=subset"
    if mean.over_all:
        subset = f" ({mean.choice:.2g} s to choose its subset, {mean.over_all:.2g} s over all documents)"
        cheaper = "a smaller subset by evaluate.subset.bm25, .model and .size; .model=0 spares most of its choice"
    return (
        f"{clock(seconds / at_once)} are left of the budget, and this race needs {clock(need.least / at_once)} at"
        f" least, besides {clock(taken / at_once)} for checks, timing and the last tables, so {told}: {arms} arms,"
        f" up to {need.slowest:.2g} s a step, {mean.evaluation:.2g} s an evaluation of dev{subset}, {need.ends} runs at"
        f" the end. Give a longer budget, {fewer}{looks}or a cheaper evaluation ({cheaper})"
    )


@dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a run take: as planned, times `pace`, how much slower recent runs were."""

    rules: Rules
    unit: float  # of the length of a first rung, with its evaluation
    mean: Timing  # of the arms
    pace: float = 1.0

    def rung(self, rung: int) -> float:
        """The seconds that an arm takes from the rung before to this one."""
        first = self.mean.first if rung == 1 else 0.0
        closing = self.mean.closing if rung == self.rules.rungs else 0.0
        return self.pace * (self.rules.stretch(rung) * self.unit + self.mean.start + first + closing)

    def at_the_end(self) -> float:
        """The seconds that a whole run takes, with its tests before and after."""
        return self.pace * (self.rules.whole * self.unit + self.mean.once + self.mean.tests)


def costs(made: Plan, timings: Mapping[str, Timing], rules: Rules) -> Costs:
    """What was planned for a run; `timings` are those of the arms in the plan."""
    mean = Timing.of_arms([timings[name] for name in made.unit])
    return Costs(rules, made.training / rules.whole + mean.evaluation, mean)


def room(left: float, cost: Costs, rung: int, ends: int, at_once: int = 1) -> int:
    """How many arms may go on after a rung in the seconds that are left, if two go all the way and `ends` runs follow.

    Seconds are summed over the `at_once` runs that go at a time.
    """
    later = slots(2, at_once) * sum(cost.rung(after) for after in range(rung + 2, cost.rules.rungs + 1))
    free = left - later - slots(ends, at_once) * cost.at_the_end()
    return max(2, math.floor(free / cost.rung(rung + 1)) // at_once * at_once)
