"""The end of a race: who wins, or that nothing is told apart; the test, the table, the figure, the command."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from hardneg.compare import contrasts, tables
from hardneg.compare.arms import Arm
from hardneg.compare.finished_runs import FinishedRun, find
from hardneg.race import figure
from hardneg.race.budget import Plan, seconds_of
from hardneg.race.decide import Confirmation, Rules, Verdict, confirm
from hardneg.race.portfolio import Entry, Settings
from hardneg.race.record import Record
from hardneg.runs import results, rungs
from hardneg.system.progress import clock

log = logging.getLogger(__name__)

SUMMARY, FIGURE, TABLE = "summary.json", "race.png", "compare.md"
UNTRAINED = {"before": "untrained start"}  # what that row of a run's test is called here


@dataclass(frozen=True)
class Outcome:
    """What a race has come to before its runs at the end."""

    folder: Path
    metric: str
    settings: Settings
    entries: Mapping[str, Entry]
    record: Record
    plan: Plan
    verdict: Verdict
    rules: Rules

    @property
    def baseline(self) -> str:
        """The arm that a winner must be told apart from."""
        return self.settings.baseline

    @property
    def runner_up(self) -> str | None:
        """Of the other arms the one that came furthest, of these the best on dev; None where there is no other."""
        others = {
            name: trial
            for name, trial in self.record.trials().items()
            if name not in (self.verdict.taken, self.baseline)
            and trial.intermediate_values
            and "failed" not in trial.user_attrs  # it would fail again
        }
        return max(others, key=lambda name: _standing(others[name]), default=None)

    def queue(self, first_seed: int) -> list[tuple[str, int]]:
        """The runs at the end by arm and seed: first one of each arm, then what the test of the winner needs."""
        seeds = [first_seed + number for number in range(self.settings.seeds)]
        pair = list(dict.fromkeys([self.verdict.taken, self.baseline]))
        third = [] if self.runner_up is None else [self.runner_up]
        first = [(name, seeds[0]) for name in [*pair, *third]]
        then = [(name, seed) for seed in seeds[1:] for name in (pair if len(pair) > 1 else [*pair, *third])]
        rest = [(name, seed) for seed in seeds[1:] for name in third]
        return list(dict.fromkeys([*first, *then, *rest]))


def _standing(trial: FrozenTrial) -> tuple[int, float]:
    rung = max(trial.intermediate_values)
    return rung, trial.intermediate_values[rung]


def write_outcome(outcome: Outcome, ends: Sequence[tuple[str, int]], seed: int) -> float:
    """Judge, print and write everything; return the dev metric of the arm that is to be taken.

    `ends` are the arms and seeds that were trained anew; `seed` is that of the command that is shown.
    """
    dev = _dev_at_the_end(outcome, ends)
    found = None
    if outcome.verdict.told_apart:
        means = _seed_means(dev)
        found = confirm(_values(dev[outcome.verdict.taken]), _values(dev[outcome.baseline]), means)
    won = found is not None and found.confirms(outcome.settings.alpha)
    likely = found is not None and found.p is None and found.difference > 0  # too few seeds to test it
    take = outcome.verdict.taken if won or likely else outcome.baseline
    why = reason(outcome, found)
    by_arm = _arms(outcome, ends)
    tested = _tested(by_arm)
    command = outcome.entries[take].command(outcome.plan.unit[take], outcome.rules.whole, seed)
    _show(outcome, by_arm, tested, take)
    figure.draw(outcome.folder / FIGURE, _lines(outcome), tested, outcome.metric, outcome.baseline)
    summary = {
        "winner": outcome.verdict.taken if won else None,
        "take": take,
        "why": why,
        "command": command,
        "metric": outcome.metric,
        "baseline": outcome.baseline,
        "runner_up": outcome.runner_up,
        "budget_seconds": seconds_of(outcome.record.kept("asked")["budget"]),
        "spent_seconds": round(outcome.record.spent(), 1),
        "verdict": asdict(outcome.verdict),
        "on_other_seeds": None if found is None else asdict(found),
        "looks": [
            asdict(seen) for rung in range(1, outcome.settings.rungs) if (seen := outcome.record.look(rung)) is not None
        ],
        "arms": {name: _arm_facts(outcome, name, trial) for name, trial in outcome.record.trials().items()},
        "dev_at_the_end": {name: {str(s): one.mean for s, one in by_seed.items()} for name, by_seed in dev.items()},
        "test": tested,
    }
    results.write_summary(outcome.folder / SUMMARY, summary)
    log.info("%s", why)
    log.info("spent %s; %s, %s, %s in %s", clock(outcome.record.spent()), SUMMARY, FIGURE, TABLE, outcome.folder)
    log.info("train it by:\n  %s", command)
    return float(np.mean([one.mean for one in dev[take].values()]))


def reason(outcome: Outcome, found: Confirmation | None) -> str:
    """Say who wins and how sure that is, or that nothing is told apart, and what is to be taken then."""
    said, base = outcome.verdict, outcome.baseline
    level = outcome.rules.level(outcome.settings.rungs)
    p = "" if said.p is None else f", p {said.p:.2g}, which must be below {level:.2g} after so many looks and arms"
    if found is None:
        best = "it is the best on dev itself" if said.leader == base else f"the best on dev was {said.leader}{p}"
        words = f"No winner: nothing is told apart from {base} ({best}). Take {base}, the simplest"
    else:
        seeds = f"{found.seeds} new seed{'s' * (found.seeds > 1)}"
        shown = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] over {seeds}"
        shown += f", p {found.p:.2g}" if found.p is not None else ""
        if found.confirms(outcome.settings.alpha):
            words = f"Winner: {said.taken}, dev {outcome.metric} {shown}, against {base}"
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
    looks = [outcome.record.look(rung) for rung in range(1, outcome.settings.rungs)]
    if no_time := [name for seen in looks if seen is not None for name in seen.no_time]:
        words += f". Stopped for want of time, not told apart: {', '.join(no_time)} (a longer budget lets them go on)"
    return f"{words}."


def _dev_at_the_end(outcome: Outcome, ends: Sequence[tuple[str, int]]) -> dict[str, dict[int, rungs.DevValues]]:
    """Dev by arm and seed, of the checkpoint that was tested."""
    out: dict[str, dict[int, rungs.DevValues]] = {}
    for name, seed in ends:
        whole = outcome.plan.unit[name] * outcome.rules.whole
        found = rungs.best_until(outcome.folder / "end" / f"{name}-s{seed}", whole)
        out.setdefault(name, {})[seed] = found
    return out


def _values(by_seed: Mapping[int, rungs.DevValues]) -> dict[int, np.ndarray]:
    return {seed: one.values for seed, one in by_seed.items()}


def _seed_means(dev: Mapping[str, Mapping[int, rungs.DevValues]]) -> np.ndarray:
    """The dev mean of each arm (row) and seed (column), NaN where there is no such run."""
    seeds = sorted({seed for by_seed in dev.values() for seed in by_seed})
    return np.array([[by_seed[s].mean if s in by_seed else np.nan for s in seeds] for by_seed in dev.values()])


def _arms(outcome: Outcome, ends: Sequence[tuple[str, int]]) -> dict[str, Arm]:
    """The runs at the end as `hardneg compare` takes them; those that have no test are left out."""
    runs: dict[str, dict[int, FinishedRun]] = {}
    for name, seed in ends:
        folder = outcome.folder / "end" / f"{name}-s{seed}"
        if json.loads((folder / "summary.json").read_text(encoding="utf-8")).get("test", {}).get("after"):
            runs.setdefault(name, {})[seed] = find([folder]).runs[0]
    # The lengths and the words are what an arm is.
    known = ["trainer.max_steps=", "evaluate.every_n_steps=", *(w for e in outcome.entries.values() for w in e.own)]
    return {name: Arm(name, by_seed, " ".join(known)) for name, by_seed in runs.items()}


def _tested(by_arm: Mapping[str, Arm]) -> dict[str, dict[str, float]]:
    """The test metrics of BM25, the untrained start and each arm, means over the seeds."""
    out: dict[str, dict[str, float]] = {}
    everyone = [run for arm in by_arm.values() for run in arm.runs.values()]
    for system in dict.fromkeys(name for run in everyone for name in run.summary["test"]):
        if not system.startswith("after"):
            rows = [run.summary["test"][system] for run in everyone if system in run.summary["test"]]
            out[UNTRAINED.get(system, system)] = _mean(rows)
    return out | {name: _mean([run.summary["test"]["after"] for run in a.runs.values()]) for name, a in by_arm.items()}


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in rows[0]}


def _show(outcome: Outcome, by_arm: Mapping[str, Arm], tested: Mapping[str, Mapping[str, float]], take: str) -> None:
    """Print the closing table and compare's, and write the latter."""
    if not by_arm:
        log.warning("split.test=null: there is no test, so there is no table")
        return
    seeds = max(len(arm.runs) for arm in by_arm.values())
    results.show(f"test, means over up to {seeds} seeds; to be taken: {take}", tested)
    if len(by_arm) < 2:
        return
    data = next(iter(by_arm[outcome.baseline].runs.values())).summary["data"]
    table = contrasts.compare(data, by_arm, contrasts.Plan(outcome.metric, baseline=outcome.baseline))
    tables.show(table)
    (outcome.folder / TABLE).write_text(tables.markdown(table), encoding="utf-8")


def _arm_facts(outcome: Outcome, name: str, trial: FrozenTrial) -> dict[str, Any]:
    unit = outcome.plan.unit.get(name)
    attrs = trial.user_attrs
    return {
        "words": list(outcome.entries[name].own),
        "state": trial.state.name.lower(),
        "error": attrs.get("failed"),
        "same_as": attrs.get("same"),
        "steps": None if unit is None else unit * outcome.rules.whole,
        "timing": attrs.get("timing"),
        "dev": {str(rung): value for rung, value in sorted(trial.intermediate_values.items())},
        "seconds": round(sum(v for key, v in attrs.items() if key.startswith("seconds_")), 1),
    }


def _lines(outcome: Outcome) -> list[figure.Line]:
    """Every arm's dev over its training, and how it ended."""
    looks = [outcome.record.look(rung) for rung in range(1, outcome.settings.rungs)]
    worse = {name for seen in looks if seen is not None for name in seen.worse}
    no_time = {name for seen in looks if seen is not None for name in seen.no_time}
    out = []
    for name, unit in outcome.plan.unit.items():
        whole = unit * outcome.rules.whole
        points = [
            (outcome.plan.training * step / whole, mean) for step, mean in rungs.curve(outcome.folder / "arms" / name)
        ]
        end = "worse" if name in worse else "no time" if name in no_time else "whole"
        out.append(figure.Line(name, points, end))
    return out
