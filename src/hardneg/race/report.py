"""What a race leaves: the test, compare's table, a figure, a summary, and the command of the arm to take."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hardneg.compare import contrasts, tables
from hardneg.compare.arms import Arm
from hardneg.compare.finished_runs import find
from hardneg.compare.one_run import FinishedRun
from hardneg.config.run_identity import found_learning_rate
from hardneg.config.run_summary import SUMMARY, read_summary, write_summary
from hardneg.mining.alarm_rules import in_words
from hardneg.race import figure
from hardneg.race.arm_state import ArmState
from hardneg.race.final_runs import failed_ends
from hardneg.race.outcome import RaceOutcome, conclude
from hardneg.race.portfolio import run_name
from hardneg.runs import results, rungs
from hardneg.system.progress import clock

log = logging.getLogger(__name__)

FIGURE, TABLE = "race.png", "compare.md"
FILES = (SUMMARY, FIGURE, TABLE)
UNTRAINED = {"before": "untrained start"}  # how a race calls these rows of a run's test


def report(outcome: RaceOutcome, ends: Sequence[tuple[str, int]], seed: int) -> float:
    """Judge, print and write everything; return the dev metric of the arm that is to be taken.

    `ends` are the arms and seeds that were trained anew; `seed` is that of the command that is shown.
    """
    race, dev = outcome.race, _dev_at_the_end(outcome, ends)
    end = conclude(outcome, dev)
    by_arm = _arms(outcome, ends)
    tested = _tested(by_arm)
    command = race.entries[end.take].command(outcome.plan.unit[end.take], race.rules.whole, seed)
    _show(outcome, by_arm, tested, end.take, outcome.goes_by(dev))
    at = [outcome.plan.training * race.rules.units(rung) / race.rules.whole for rung in range(1, race.rules.rungs + 1)]
    figure.draw(race.folder / FIGURE, _lines(outcome), tested, race.metric, race.baseline, at)
    summary = {
        "winner": end.winner,
        "take": end.take,
        "why": end.why,
        "command": command,
        "metric": race.metric,
        "baseline": race.baseline,
        "runner_up": outcome.runner_up,
        "budget_seconds": race.budget,
        "spent_seconds": round(race.record.spent(), 1),
        "verdict": asdict(outcome.verdict),
        "on_other_seeds": None if end.found is None else asdict(end.found),
        "looks": [asdict(seen) for seen in race.record.looks()],
        "arms": {name: _arm_facts(outcome, name, arm) for name, arm in race.record.arms().items()},
        "dev_at_the_end": {name: {str(s): one.mean for s, one in by_seed.items()} for name, by_seed in dev.items()},
        "failed_at_the_end": failed_ends(race.record),
        "test": tested,
    }
    write_summary(race.folder, summary)
    _tell_of_negatives(outcome)
    log.info("%s", end.why)
    over = (race.record.spent() - race.budget) / race.executor.n_jobs
    log.info("spent %s%s", race.so_far(), f", {clock(over)} too much" if over > 0 else "")
    log.info("written to %s: %s", race.folder, ", ".join(made for made in FILES if (race.folder / made).exists()))
    log.info("train it by:\n  %s", command)
    return float(np.mean([one.mean for one in dev[end.take].values()]))


def _dev_at_the_end(outcome: RaceOutcome, ends: Sequence[tuple[str, int]]) -> dict[str, dict[int, rungs.DevValues]]:
    """Dev by arm and seed, of the checkpoint that was tested."""
    race, out = outcome.race, dict[str, dict[int, rungs.DevValues]]()
    for name, seed in ends:
        whole = outcome.plan.unit[name] * race.rules.whole
        found = rungs.best_until(race.folder / "end" / run_name(name, seed), whole)
        out.setdefault(name, {})[seed] = found
    return out


def _arms(outcome: RaceOutcome, ends: Sequence[tuple[str, int]]) -> dict[str, Arm]:
    """The runs at the end as `hardneg compare` takes them; those that have no test are left out."""
    race, runs = outcome.race, dict[str, dict[int, FinishedRun]]()
    for name, seed in ends:
        folder = race.folder / "end" / run_name(name, seed)
        summary = read_summary(folder)
        assert summary is not None, f"{folder}: a run at the end is complete"
        if summary.get("test", {}).get("after"):
            runs.setdefault(name, {})[seed] = find([folder]).runs[0]
    # An arm is its words, and the length, batch and rate that were found for it: these differences go without saying.
    settled = any(found_learning_rate(run.folder) for by_seed in runs.values() for run in by_seed.values())
    known = [
        "batch_size=",
        "trainer.max_steps=",
        "evaluate.every_n_steps=",
        *["encoder.lr="] * settled,
        *(w for e in race.entries.values() for w in e.own),
    ]
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


def _show(
    outcome: RaceOutcome, by_arm: Mapping[str, Arm], tested: Mapping[str, Mapping[str, float]], take: str, goes_by: str
) -> None:
    """Print the closing table and compare's, and write the latter; both with what the verdict goes by."""
    if not by_arm:
        log.warning("split.test=null: there is no test, so there is no table")
        return
    seeds = max(len(arm.runs) for arm in by_arm.values())
    over = f"means over up to {seeds} seeds" if seeds > 1 else "one seed"
    results.show(f"test, {over}; to be taken: {take}", tested)
    log.info("%s", goes_by)
    if len(by_arm) < 2:
        return
    data = next(iter(by_arm[outcome.baseline].runs.values())).summary["data"]
    race = outcome.race
    table = contrasts.compare(data, by_arm, contrasts.ComparisonPlan(race.metric, baseline=outcome.baseline))
    tables.show(table)
    (race.folder / TABLE).write_text(
        f"{tables.markdown(table)}\n{goes_by[0].upper()}{goes_by[1:]}.\n", encoding="utf-8"
    )


def _arm_facts(outcome: RaceOutcome, name: str, arm: ArmState) -> dict[str, Any]:
    race, unit = outcome.race, outcome.plan.unit.get(name)
    return {
        "words": list(race.entries[name].own),
        "state": arm.state.name.lower(),
        "error": arm.error,
        "same_as": race.record.left_out().get(name),
        "steps": None if unit is None else unit * race.rules.whole,
        "timing": None if arm.timing is None else asdict(arm.timing),
        "negatives": _negatives(outcome, name),
        "dev": {str(rung): value for rung, value in sorted(arm.dev.items())},
        "seconds": round(sum(arm.seconds.values()), 1),
    }


def _negatives(outcome: RaceOutcome, name: str) -> dict[str, dict[str, float]]:
    """What an arm's drawn negatives did at the end of its run, by source; empty for an arm that was stopped."""
    return (read_summary(outcome.race.folder / "arms" / name) or {}).get("negatives", {})


def _tell_of_negatives(outcome: RaceOutcome) -> None:
    for name in outcome.plan.unit:
        for source, did in _negatives(outcome, name).items():
            whose = name if source == name else f"{name}, {source}"
            log.info("%s: %s (last third of its run in the race)", whose, in_words(did))


def _lines(outcome: RaceOutcome) -> list[figure.Line]:
    """Every arm's dev over its training, and how it ended."""
    race, looks = outcome.race, outcome.race.record.looks()
    worse = {name for seen in looks for name in seen.worse}
    no_time = {name for seen in looks for name in seen.no_time}
    out = []
    for name, unit in outcome.plan.unit.items():
        whole = unit * race.rules.whole
        points = [
            (outcome.plan.training * step / whole, mean) for step, mean in rungs.curve(race.folder / "arms" / name)
        ]
        end = "worse" if name in worse else "no time" if name in no_time else "whole"
        out.append(figure.Line(name, points, end))
    return out
