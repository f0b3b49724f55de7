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


def rounded(seconds: float) -> str:
    """Two digits, and from 100 on whole seconds, as `.2g` would say 4e+02."""
    return f"{seconds:.2g}" if seconds < 99.5 else f"{seconds:,.0f}"


@dataclass(frozen=True)
class Timing:
    """Seconds of an arm: of a step (with its share of mining again), of a dev evaluation, of a run's start.

    Where dev has a subset, else 0: of choosing it (`choice`), before the first step, and of ranking dev over all
    documents (`over_all`), which one arm alone is timed for.
    """

    step: float
    evaluation: float
    start: float
    choice: float = 0.0
    over_all: float = 0.0

    @classmethod
    def of_arms(cls, timings: Collection[Timing]) -> Timing:
        """The mean of several arms; what the first leaves in the cache for the others, they are taken to find there."""
        mean = {name: sum(getattr(one, name) for one in timings) / len(timings) for name in ("step", "evaluation")}
        start, choice = (min(getattr(one, name) for one in timings) for name in ("start", "choice"))
        return cls(**mean, start=start, choice=choice, over_all=max(one.over_all for one in timings))


@dataclass(frozen=True)
class AtTheEnd:
    """What a run at the end does that an arm's does not.

    It has `tests`, all of whose documents are ranked: 0, 1 (after training), or 2 (before it too). Where dev has a
    subset and the run `compares`, dev is ranked over all documents too, at its first evaluation and at its end.
    """

    tests: int
    compares: bool

    def seconds(self, timing: Timing) -> float:
        """How long that takes, without start and steps; `timing` says whether dev has a subset."""
        if not timing.over_all:
            return self.tests * timing.evaluation  # dev at step 0 is ranked with the test before
        before = timing.evaluation if self.tests > 1 else 0.0  # dev at step 0
        comparing = 2 * timing.over_all + timing.evaluation if self.compares else 0.0
        return timing.choice + self.tests * timing.over_all + before + comparing


@dataclass(frozen=True)
class RacePlan:
    """The steps of each arm's first rung (`unit`), and how long all trains at most.

    `seeds` is how many the runs at the end are sure to have.
    """

    unit: dict[str, int]
    training: float  # seconds of training of one whole run, the same for all arms
    longest: float  # seconds of the race if no arm proves worse than another, and of the runs at its end
    seeds: int


@dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a race take: as planned, times `pace`, how much slower recent runs were.

    `training` is the seconds of training of a whole run, `mean` the timing of the arms.
    """

    rules: Rules
    training: float
    mean: Timing
    end: AtTheEnd
    pace: float = 1.0

    @property
    def _unit(self) -> float:
        """The seconds of the length of a first rung, with its evaluation."""
        return self.training / self.rules.whole + self.mean.evaluation

    def rung(self, rung: int) -> float:
        """The seconds that an arm takes from the rung before to this one."""
        choice = self.mean.choice if rung == 1 else 0.0
        return self.pace * (self.rules.stretch(rung) * self._unit + self.mean.start + choice)

    def at_the_end(self) -> float:
        """The seconds that a whole run takes, with its tests."""
        return self.pace * (self.rules.whole * self._unit + self.mean.start + self.end.seconds(self.mean))


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
    end: AtTheEnd,
    seconds: float,
    at_once: int = 1,
    taken: float = 0.0,
    all_timed: bool = True,
) -> RacePlan:
    """Find the longest training that fits, the same seconds for every arm; `seconds` is what is left of the budget.

    `taken` are the seconds already spent, and those that will be spent on anything but runs. All are summed over the
    `at_once` runs that go at a time. The plan is for the worst case, in which no arm proves worse than another and each
    rung keeps as many as it may. Where `seeds` do not fit, it is made with fewer. Raises `ConfigError` with the least
    budget where one seed and `LEAST` steps a rung do not fit; unless `all_timed`, it says that the least may turn out
    to be more.
    """
    for count in range(max(seeds, 1), 0, -1):
        need = _need(timings, rules, count, end, at_once)
        if seconds >= need.least:
            training = (seconds - need.fixed) / need.lengths
            unit = {name: max(LEAST, math.floor(training / rules.whole / one.step)) for name, one in timings.items()}
            return RacePlan(unit, training, need.fixed + need.lengths * training, count)
    raise ConfigError(_too_small(need, end, len(timings), rules.rungs, seconds, at_once, taken, all_timed))


@dataclass(frozen=True)
class _Need:
    """What a race takes in the worst case: `fixed` seconds, and `lengths` times the training of a whole run.

    `least` are the seconds with `LEAST` steps in a first rung; `runs` come at the end.
    """

    fixed: float
    lengths: float
    least: float
    runs: int
    slowest: float  # seconds of a step, of any arm
    mean: Timing


def _need(timings: Mapping[str, Timing], rules: Rules, seeds: int, end: AtTheEnd, at_once: int) -> _Need:
    count, mean = len(timings), Timing.of_arms(timings.values())
    arms = {rung: count if rung == 1 else min(count, rules.most(rung - 1)) for rung in range(1, rules.rungs + 1)}
    arms = {rung: slots(there, at_once) for rung, there in arms.items()}
    runs = slots(runs_at_the_end(count, seeds), at_once)
    untrained = Costs(rules, 0.0, mean, end)
    fixed = sum(there * untrained.rung(rung) for rung, there in arms.items()) + runs * untrained.at_the_end()
    lengths = sum(there * rules.stretch(rung) for rung, there in arms.items()) / rules.whole + runs
    slowest = max(timing.step for timing in timings.values())
    return _Need(fixed, lengths, fixed + lengths * LEAST * slowest * rules.whole, runs, slowest, mean)


def _too_small(
    need: _Need,
    end: AtTheEnd,
    arms: int,
    rungs: int,
    seconds: float,
    at_once: int,
    taken: float,
    all_timed: bool,
) -> str:
    """Say what a race takes at least, why, and what would make it less."""
    fewer = "fewer arms (race=small), " if arms > SMALL else "fewer arms, " if arms > 2 else ""
    looks = f"fewer looks (rungs={rungs - 1}), " if rungs > 1 else ""
    budget = f"budget={math.ceil((taken + need.least) / at_once)}s"
    told = f"about {budget} or more" if all_timed else f"{budget} at least, and perhaps more once all arms are timed"
    mean, subset, cheaper = need.mean, "", "evaluate.documents=subset"
    if mean.over_all:
        subset = f" ({rounded(mean.choice)} s to choose its subset, {rounded(mean.over_all)} s over all documents)"
        cheaper = "a smaller subset by evaluate.subset.bm25, .model and .size; .model=0 spares most of its choice"
        cheaper += ", and evaluate.compare_with_all=false two rankings of a run at the end" * end.compares
    return (
        f"{clock(seconds / at_once)} are left of the budget, and this race needs {clock(need.least / at_once)} at"
        f" least, besides {clock(taken / at_once)} for checks, timing and the last tables, so {told}: {arms} arms,"
        f" up to {rounded(need.slowest)} s a step, {rounded(mean.evaluation)} s an evaluation of dev{subset},"
        f" {need.runs} runs at the end. Give a longer budget, {fewer}{looks}or a cheaper evaluation ({cheaper})"
    )


def room(left: float, cost: Costs, rung: int, ends: int, at_once: int = 1) -> int:
    """How many arms may go on after a rung in the seconds that are left, if two go all the way and `ends` runs follow.

    Seconds are summed over the `at_once` runs that go at a time.
    """
    later = slots(2, at_once) * sum(cost.rung(after) for after in range(rung + 2, cost.rules.rungs + 1))
    free = left - later - slots(ends, at_once) * cost.at_the_end()
    return max(2, math.floor(free / cost.rung(rung + 1)) // at_once * at_once)
