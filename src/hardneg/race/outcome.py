"""What a race has come to: who wins, or that nothing is told apart; which arm is to be taken, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial

from hardneg.race.budget import Plan
from hardneg.race.course import Course
from hardneg.race.decide import Confirmation, Verdict, confirm
from hardneg.runs.rungs import DevValues

Dev = Mapping[str, Mapping[int, DevValues]]  # arm -> seed -> dev of the runs at the end


@dataclass(frozen=True)
class Outcome:
    """What a race has come to before its runs at the end."""

    course: Course
    plan: Plan
    verdict: Verdict

    @property
    def baseline(self) -> str:
        """The arm that a winner must be told apart from."""
        return self.course.baseline

    @property
    def runner_up(self) -> str | None:
        """Of the other arms the one that came furthest, of these the best on dev; None where there is no other."""
        others = {
            name: trial
            for name, trial in self.course.record.trials().items()
            if name not in (self.verdict.taken, self.baseline)
            and trial.intermediate_values
            and "failed" not in trial.user_attrs  # it would fail again
        }
        return max(others, key=lambda name: _standing(others[name]), default=None)

    def queue(self, first_seed: int) -> list[tuple[str, int]]:
        """The runs at the end by arm and seed: first one of each arm, then what the test of the winner needs."""
        seeds = [first_seed + number for number in range(self.course.settings.seeds)]
        pair = list(dict.fromkeys([self.verdict.taken, self.baseline]))
        third = [] if self.runner_up is None else [self.runner_up]
        first = [(name, seeds[0]) for name in [*pair, *third]]
        then = [(name, seed) for seed in seeds[1:] for name in (pair if len(pair) > 1 else [*pair, *third])]
        rest = [(name, seed) for seed in seeds[1:] for name in third]
        return list(dict.fromkeys([*first, *then, *rest]))


def _standing(trial: FrozenTrial) -> tuple[int, float]:
    rung = max(trial.intermediate_values)
    return rung, trial.intermediate_values[rung]


@dataclass(frozen=True)
class Conclusion:
    """The arm to take, the winner if there is one, the words that say why, the test on new seeds if there was one."""

    take: str
    winner: str | None
    why: str
    found: Confirmation | None


def conclude(outcome: Outcome, dev: Dev) -> Conclusion:
    """Judge a race by its verdict and the runs at its end."""
    said, found = outcome.verdict, None
    if said.told_apart:
        found = confirm(_values(dev[said.taken]), _values(dev[outcome.baseline]), _seed_means(dev))
    won = found is not None and found.confirms(outcome.course.settings.alpha)
    likely = found is not None and found.p is None and found.difference > 0  # too few seeds to test it
    take = said.taken if won or likely else outcome.baseline
    return Conclusion(take, said.taken if won else None, reason(outcome, found), found)


def _values(by_seed: Mapping[int, DevValues]) -> dict[int, np.ndarray]:
    return {seed: one.values for seed, one in by_seed.items()}


def _seed_means(dev: Dev) -> np.ndarray:
    """The dev mean of each arm (row) and seed (column), NaN where there is no such run."""
    seeds = sorted({seed for by_seed in dev.values() for seed in by_seed})
    return np.array([[by_seed[s].mean if s in by_seed else np.nan for s in seeds] for by_seed in dev.values()])


def reason(outcome: Outcome, found: Confirmation | None) -> str:
    """Say who wins and how sure that is, or that nothing is told apart, and what is to be taken then."""
    said, base = outcome.verdict, outcome.baseline
    level = outcome.course.rules.level(outcome.course.settings.rungs)
    p = "" if said.p is None else f", p {said.p:.2g}, which must be below {level:.2g} after so many looks and arms"
    if found is None:
        best = "it is the best on dev itself" if said.leader == base else f"the best on dev was {said.leader}{p}"
        words = f"No winner: nothing is told apart from {base} ({best}). Take {base}, the simplest"
    else:
        seeds = f"{found.seeds} new seed{'s' * (found.seeds > 1)}"
        shown = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] over {seeds}"
        shown += f", p {found.p:.2g}" if found.p is not None else ""
        if found.confirms(outcome.course.settings.alpha):
            words = f"Winner: {said.taken}, dev {outcome.course.metric} {shown}, against {base}"
            if others := [name for name in said.tied if name != said.taken]:
                words += (
                    f". Not told apart from the best ({said.leader}): {', '.join(others)}; {said.taken} comes first in"
                    " the portfolio, which goes from the simplest to the dearest"
                )
        elif found.p is None and found.difference > 0:
            words = (
                f"No winner yet: {said.taken} was told apart from {base} in the race (one seed{p}) and is better anew"
                f" ({shown}), but the budget had room for too few seeds to test whether that holds for others. Take"
                f" {said.taken} with that in mind, or give a longer budget"
            )
        else:
            words = (
                f"No winner: {said.taken} was told apart from {base} in the race, with one seed, but not on others"
                f" ({shown}). Take {base}, the simplest"
            )
    if worse := [name for seen in outcome.course.record.looks() for name in seen.worse]:
        words += f". Stopped as worse than the best of their rung: {', '.join(worse)}"
    if no_time := [name for seen in outcome.course.record.looks() for name in seen.no_time]:
        words += (
            f". Not told apart, but stopped as time was short: {', '.join(no_time)}; a new race with a longer budget,"
            " or with fewer arms, can say more of them"
        )
    return f"{words}."
