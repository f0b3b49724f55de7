"""The outcome of a race: which arm wins, if any; which is to be taken, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hardneg.compare.p_values import written
from hardneg.race.budget import RacePlan
from hardneg.race.decide import Confirmation, Verdict, confirm
from hardneg.race.race import Race
from hardneg.runs.rungs import DevValues
from hardneg.system.counts_in_words import counted

Run = tuple[str, int]  # arm and seed
Dev = Mapping[str, Mapping[int, DevValues]]  # arm -> seed -> dev of the runs at the end


@dataclass(frozen=True)
class RaceOutcome:
    """The state of a race before its runs at the end."""

    race: Race
    plan: RacePlan
    verdict: Verdict

    @property
    def baseline(self) -> str:
        """The arm that a winner must prove better than."""
        return self.race.baseline

    @property
    def runner_up(self) -> str | None:
        """The arm that came furthest beside these two, and of several the best on dev; None where there is no other."""
        others = {
            name: arm
            for name, arm in self.race.record.arms().items()
            if name not in (self.verdict.taken, self.baseline) and arm.dev and not arm.failed  # it would fail again
        }
        return max(others, key=lambda name: others[name].standing, default=None)

    def runs_anew(self, first_seed: int) -> list[tuple[Run, ...]]:
        """The runs at the end: first the pairs that the test of a winner needs, then the runner-up.

        Where there is nothing to test the runner-up is trained beside the baseline. Of two runs in one tuple neither
        tells anything without the other, as arms are compared on the seeds that they share.
        """
        seeds = [first_seed + number for number in range(self.race.settings.seeds)]
        third = () if self.runner_up is None else (self.runner_up,)
        if self.verdict.taken == self.baseline:
            groups = [(self.baseline, *third)]
        else:
            groups = [(self.verdict.taken, self.baseline), *([third] if third else [])]
        return [tuple((name, seed) for name in group) for group in groups for seed in seeds]

    def goes_by(self, dev: Dev) -> str:
        """Say what the verdict goes by: it may differ from what the table of the test suggests."""
        said, base, metric = self.verdict, self.baseline, self.race.metric
        if said.taken == base:
            return (
                f"the verdict goes by dev {metric} in the race itself, one run of each arm; the test has no part in it"
            )
        seeds = len(dev[said.taken].keys() & dev[base].keys())
        of = f"the {seeds} new seeds" if seeds > 1 else "the one new seed"
        return (
            f"the verdict goes by dev {metric} of {of} that both {said.taken} and {base} were trained on; the test has"
            " no part in it"
        )


@dataclass(frozen=True)
class Conclusion:
    """The arm to take, the winner if there is one, the words that say why, the test on new seeds if there was one."""

    take: str
    winner: str | None
    why: str
    found: Confirmation | None


def conclude(outcome: RaceOutcome, dev: Dev) -> Conclusion:
    """Judge a race by its verdict and the runs at its end."""
    said, base = outcome.verdict, outcome.baseline
    if said.taken == base:
        return Conclusion(base, None, f"{_nobody(outcome)}{_stopped(outcome)}.", None)
    found = confirm(_values(dev[said.taken]), _values(dev[base]), _seed_means(outcome, dev))
    won = found.wins(outcome.race.rules.to_win)
    take = said.taken if won or found.ahead else base
    return Conclusion(take, said.taken if won else None, f"{_tested(outcome, found, take)}{_stopped(outcome)}.", found)


def _values(by_seed: Mapping[int, DevValues]) -> dict[int, np.ndarray]:
    return {seed: one.values for seed, one in by_seed.items()}


def _seed_means(outcome: RaceOutcome, dev: Dev) -> np.ndarray:
    """The dev mean of each arm (row) and seed (column), the race's own run last; NaN where there is no such run.

    The race's own run tells how much seeds vary, not which arm is better, as the arm was chosen by it.
    """
    seeds = sorted({seed for by_seed in dev.values() for seed in by_seed})
    arms, last = outcome.race.record.arms(), outcome.race.rules.rungs
    raced = [arms[name].dev.get(last, np.nan) for name in dev]
    anew = [[by_seed[s].mean if s in by_seed else np.nan for s in seeds] for by_seed in dev.values()]
    return np.column_stack([anew, raced])


def _nobody(outcome: RaceOutcome) -> str:
    said, base = outcome.verdict, outcome.baseline
    if said.leader == base:
        return f"No winner: {base}, the simplest, is the best on dev itself. Take {base}"
    return (
        f"No winner: the best on dev, {said.leader}, is ahead of {base} by {said.lead:.4f}, which is within one"
        f" standard error ({said.error:.4f}). Take {base}, the simplest"
    )


def _tested(outcome: RaceOutcome, found: Confirmation, take: str) -> str:
    """Say who wins and how sure that is, or that nobody does, and what is to be taken then."""
    said, base, level = outcome.verdict, outcome.baseline, outcome.race.rules.to_win
    seeds = counted(found.seeds, "new seed")
    shown = f"dev {outcome.race.metric} {found.difference:+z.4f} [{found.low:+z.4f}, {found.high:+z.4f}] over {seeds}"
    if found.p is not None:
        shown += f", p {written(found.p, level)}"
    if found.wins(level):
        words = f"Winner: {said.taken}, {shown}, against {base}"
        if others := [name for name in said.close if name != said.taken]:
            words += (
                f". Within one standard error of the best in the race ({said.leader}): {', '.join(others)};"
                f" {said.taken} comes first in the portfolio, which goes from the simplest to the costliest"
            )
        return words
    if found.difference <= 0:
        words = f"No winner: {said.taken}, which led in the race, is not better than {base} on other seeds, {shown}"
    elif found.p is None:
        words = f"No winner yet: {said.taken} against {base}, {shown}, too few to test it"
    else:
        words = f"No winner: that {said.taken} is better than {base} is not proven, {shown}, to be below {level:.2g}"
    if take == base:
        return f"{words}. Take {base}, the simplest"
    return f"{words}. Take {take}, which is ahead by more than one standard error, with that in mind"


def _stopped(outcome: RaceOutcome) -> str:
    """Say who was stopped in the race, and why."""
    looks, words = outcome.race.record.looks(), ""
    if worse := [name for seen in looks for name in seen.worse]:
        words += f". Stopped as worse than the best of their rung: {', '.join(worse)}"
    if no_time := [name for seen in looks for name in seen.no_time]:
        words += (
            f". Stopped as time was short, though not proven worse: {', '.join(no_time)}; a new race with a longer"
            " budget, or with fewer arms, can say more about them"
        )
    return words
