"""A race from its first second to its end: time the arms, let them train in growing steps, train the winner anew."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from hardneg.config.composition import config_dir_words
from hardneg.errors import ConfigError, DataError, JobFailed
from hardneg.race.budget import Plan, Timing, plan, room, seconds_of
from hardneg.race.crew import Crew, Work, ended, forget
from hardneg.race.decide import Look, Verdict, look, verdict
from hardneg.race.outcome import Outcome, write_outcome
from hardneg.race.portfolio import Settings, duplicates, entries
from hardneg.race.record import PLAN, SAME, Record
from hardneg.runs import rungs, status
from hardneg.runs.rungs import DevValues
from hardneg.runs.study import open_study
from hardneg.sweep.jobs import Job
from hardneg.system.progress import clock

log = logging.getLogger(__name__)

TIMED = 2.0  # seconds for which an arm's steps are timed
CLOSING = 5.0  # seconds on the clock that are kept for looks, the last tables and the figure
SEEDS_TO_TEST = 3  # with fewer, two arms say too little of what seeds do (see `decide.confirm`)


def race(config: DictConfig, launcher: Launcher, given: Mapping[str, Any], words: Sequence[str]) -> float:
    """Run a race, or go on with it; return the dev metric of the arm that is taken.

    All of it is in the sweep's folder: `study.log` (Optuna's), `time/`, `arms/`, `end/`, and `summary.json` last.
    Raises `ConfigError` for what cannot run and for a budget that is too small, `JobFailed` where the baseline failed.
    """
    plain: Any = OmegaConf.to_container(OmegaConf.create(dict(given)), resolve=False)
    settings = Settings(**plain)
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    running = Race(config, launcher, settings, words, folder)
    try:
        return running.run()
    except JobFailed as error:
        log.error("error: %s", error)
        raise
    except (KeyboardInterrupt, SystemExit):
        log.warning("stopped; the same command with hydra.sweep.dir=%s goes on where it was", folder)
        raise


class Race:
    """One race, and this process's part in it.

    Raises `ConfigError` without a dev split.
    """

    def __init__(
        self, config: DictConfig, launcher: Launcher, settings: Settings, words: Sequence[str], folder: Path
    ) -> None:
        began = time.monotonic()
        self.settings, self.folder, self.rules = settings, folder, settings.rules()
        self.entries = entries(settings, words, config_dir_words(config.hydra))
        self.baseline = settings.baseline
        self.crew = Crew(config, launcher, folder)
        self.budget = seconds_of(settings.budget) * self.crew.n_jobs
        jobs = {name: self.crew.compose(one.raced(1, 2), check=True) for name, one in self.entries.items()}
        cfgs = [job.cfg for job in jobs.values()]
        self.metric = str(cfgs[0].evaluate.best)
        self.first_seed = max(int(cfg.seed) for cfg in cfgs) + 1  # of the runs at the end
        if any(cfg.split.dev is None for cfg in cfgs):
            raise ConfigError("split.dev=null: a race is decided by dev")
        facts = {"storage": settings.storage, "study": settings.study, "sampler": "random", "seed": 1, "pruner": "none"}
        self.record = Record(open_study(facts, folder), folder)
        asked = {key: value for key, value in asdict(settings).items() if key not in ("storage", "study", "arms")}
        arms = {name: list(one.own) for name, one in self.entries.items()}
        self.record.enter(arms, {**asked, "arms": arms, "words": list(self.entries[self.baseline].common)})
        self._note_checks(time.monotonic() - began)

    def run(self) -> float:
        """Run what is not done yet."""
        count = len(self.entries)
        log.info("race in %s: %d arms, a budget of %s", self.folder, count, clock(self.budget))
        self.crew.work_off(self._untimed, self._timed)
        self._leave_out_duplicates()
        self._check_rivals()
        self.plan = self._plan()
        for rung in range(1, self.rules.rungs + 1):
            self._train_to(rung)
            if rung < self.rules.rungs:
                self._look(rung)
        said = self._verdict()
        outcome = Outcome(
            self.folder, self.metric, self.settings, self.entries, self.record, self.plan, said, self.rules
        )
        self.crew.work_off(lambda: self._wanted_at_the_end(outcome), self._ended)
        with self.record.alone():
            return write_outcome(outcome, self._ends(outcome), self.first_seed)

    def _note_checks(self, seconds: float) -> None:
        """Count what the checks took for all runs that could have been at work meanwhile."""
        self.record.keep_first("seconds_checks", seconds * self.crew.n_jobs)

    def _left(self) -> float:
        """The seconds of the budget that runs may still take, summed over those at a time, as the budget is."""
        return self.budget - self.record.spent() - CLOSING * self.crew.n_jobs

    # Timing

    def _untimed(self) -> list[Work]:
        known = self.record.timings()
        part = {"seconds": TIMED}
        left = [name for name in self.record.racing() if name not in known]
        return [Work(f"time_{name}", name, tuple(self.entries[name].timed()), part) for name in left]

    def _timed(self, work: Work, job: Job, seconds: float) -> None:
        if (error := ended(job, ["paused"])) is not None:
            self._failed(work.arm, error, job)
            return
        found = status.read(job.folder) or {}
        timing = found["timing"]
        self.record.note(work.arm, seconds_0=seconds, identity=found["identity"], timing=timing)  # the last says: timed
        forget(job)
        known = self.record.timings()
        log.info(
            "%s: %.3g s a step, %.2g s an evaluation of dev (%d of %d timed)",
            *(work.arm, timing["step"], timing["evaluation"], len(known), len(self.record.racing())),
        )
        if len(known) == 1:  # a budget that is far too small is told at once, as if all were like the first
            alike = dict.fromkeys(self.record.racing(), Timing(**timing))
            plan(alike, self.rules, self.settings.seeds, self._left())

    def _leave_out_duplicates(self) -> None:
        """Train once what several arms come to, which is known when each has settled its batch; see `duplicates`."""
        with self.record.alone():
            known = self.record.kept(SAME)
            if known is None:  # one begun by an earlier version, with a plan, goes on as it was
                known = duplicates(self.record.identities(), self.baseline) if self.record.kept(PLAN) is None else {}
                self.record.keep(SAME, known)
            for name in [name for name in self.record.racing() if name in known]:  # also what a kill has left
                self.record.leave_out(name, known[name])
        for name, other in known.items():
            log.info(
                "%s is left out: on these data and this machine its run is that of %s, batch included", name, other
            )
        self.rules = replace(self.rules, arms=len(self.entries) - len(known))
        if self.rules.arms < 2:
            raise ConfigError(f"all arms come to the same run as {self.baseline}; choose others (race=NAME)")

    def _plan(self) -> Plan:
        with self.record.alone():
            if (known := self.record.kept(PLAN)) is None:
                left_out = self.record.left_out()
                timings = {name: one for name, one in self.record.timings().items() if name not in left_out}
                made = plan(timings, self.rules, self.settings.seeds, self._left())
                known = asdict(made)
                self.record.keep(PLAN, known)
        made = Plan(**known)
        steps = ", ".join(f"{name} {unit * self.rules.whole:,}" for name, unit in made.unit.items())
        log.info(
            "plan: %d rungs; a whole run trains for %s, in steps: %s", self.rules.rungs, clock(made.training), steps
        )
        if made.seeds < SEEDS_TO_TEST:
            log.warning(
                "the budget is made for %d new seed%s at the end; a winner is named with %d only, if time is left then",
                *(made.seeds, "s" * (made.seeds > 1), SEEDS_TO_TEST),
            )
        return made

    # Rungs

    def _train_to(self, rung: int) -> None:
        def behind() -> list[Work]:
            last = rung == self.rules.rungs
            out = []
            for name, trial in self.record.trials().items():
                if name in racing and rung not in trial.intermediate_values and "failed" not in trial.user_attrs:
                    unit = self.plan.unit[name]
                    part = {} if last else {"until": unit * self.rules.units(rung)}
                    words = tuple(self.entries[name].raced(unit, self.rules.whole))
                    out.append(Work(f"arm_{name}", name, words, part))
            return out

        before = self.record.look(rung - 1)
        racing = set(self.record.racing() if before is None else before.on) & set(self.plan.unit)
        self.crew.work_off(behind, lambda work, job, seconds: self._arrived(work, job, seconds, rung))

    def _arrived(self, work: Work, job: Job, seconds: float, rung: int) -> None:
        if (error := ended(job, ["paused", "done"])) is not None:
            self._failed(work.arm, error, job)
            return
        best = self._dev(work.arm, rung)
        self.record.report(work.arm, rung, best.mean, seconds)
        there = sum(rung in trial.intermediate_values for trial in self.record.trials().values())
        log.info(
            "rung %d of %d  %-16s dev %s %.4f  (number %d; %s of %s)",
            *(rung, self.rules.rungs, work.arm, self.metric, best.mean, there),
            *(clock(self.record.spent()), clock(self.budget)),
        )

    def _dev(self, arm: str, rung: int) -> DevValues:
        return rungs.best_until(self.folder / "arms" / arm, self.plan.unit[arm] * self.rules.units(rung))

    def _scores(self, rung: int) -> dict[str, Any]:
        """Dev by query of the arms that have come to a rung; raises `DataError` if their queries are not the same."""
        arrived = [name for name, trial in self.record.trials().items() if rung in trial.intermediate_values]
        found = {name: self._dev(name, rung) for name in arrived}
        first = next(iter(found.values()))
        for name, one in found.items():
            if not np.array_equal(one.ids, first.ids):
                raise DataError(
                    f"{name} and {arrived[0]} were evaluated on different dev queries: arms share their data"
                )
        return {name: one.values for name, one in found.items()}

    def _look(self, rung: int) -> None:
        with self.record.alone():
            if (seen := self.record.look(rung)) is None:
                seen = look(self._scores(rung), rung, self.rules, self.baseline, self._room(rung))
                self.record.looked(seen)
            for name in self.record.stopped(rung):  # also what a process that was killed after its look has left
                facts = {"state": "pruned", "result": self._dev(name, rung).mean}
                status.write(self.folder / "arms" / name, **facts)
                self.record.stop(name)
        self._tell(seen)

    def _room(self, rung: int) -> int:
        trials = self.record.trials().values()
        seconds = [t.user_attrs[f"seconds_{rung}"] for t in trials if f"seconds_{rung}" in t.user_attrs]
        units = self.rules.units(rung) - (self.rules.units(rung - 1) if rung > 1 else 0)
        cost = float(np.mean(seconds)) / units
        least = 2 * self.plan.seeds * self.plan.cost
        return room(self._left(), cost, rung, self.rules, least)

    def _tell(self, seen: Look) -> None:
        said = [f"rung {seen.rung} of {self.rules.rungs}: {seen.leader} leads"]
        worse = ", ".join(f"{name} (p {seen.p[name]:.2g})" for name in seen.worse)
        no_time = ", ".join(f"{name} (p {seen.p[name]:.2g})" for name in seen.no_time)
        said += [f"worse, stopped: {worse}"] if worse else []
        said += [f"not told apart, no time: {no_time}"] if no_time else []
        log.info("%s", "; ".join([*said, f"on: {', '.join(seen.on)}"]))

    def _failed(self, arm: str, error: str, job: Job) -> None:
        self.record.failed(arm, error)
        if arm == self.baseline:
            raise JobFailed(f"{arm}, the baseline, failed: {error}; see {job.folder}")
        log.warning("%s failed and is out of the race: %s; see %s", arm, error, job.folder)
        self._check_rivals()

    def _check_rivals(self) -> None:
        """Raise `JobFailed` if nothing has raced the baseline or will; arms that were stopped have."""
        left_out = self.record.left_out()
        rivals = [
            trial for name, trial in self.record.trials().items() if name != self.baseline and name not in left_out
        ]
        if all("failed" in trial.user_attrs for trial in rivals):
            but = f"{self.baseline} and what comes to the same run as another" if left_out else "the baseline"
            raise JobFailed(f"all arms but {but} have failed")

    # The end

    def _verdict(self) -> Verdict:
        scores = self._scores(self.rules.rungs)
        said = verdict(scores, self.rules, self.baseline, list(self.entries))
        for name, values in scores.items():
            self.record.finished(name, float(values.mean()))
        p = "" if said.p is None else f" (p {said.p:.2g}, to be below {self.rules.level(self.rules.rungs):.2g})"
        if said.told_apart:
            log.info("%s is told apart from %s on dev%s; now on other seeds", said.taken, self.baseline, p)
        else:
            log.info("nothing is told apart from %s on dev%s", self.baseline, p)
        return said

    def _wanted_at_the_end(self, outcome: Outcome) -> list[Work]:
        """The runs that are left: the first of each arm that is compared in any case, others while there is time."""
        known = self.record.kept("ends") or {}
        times = [value for key, value in self.record.study.user_attrs.items() if key.startswith("seconds_end_")]
        cost = float(np.mean(times)) if times else self.plan.cost
        left, out = self._left(), list[Work]()
        for number, (name, seed) in enumerate(outcome.queue(self.first_seed)):
            if f"{name}-s{seed}" in known:
                continue
            if number >= 2 and cost * (len(out) + 1) > left:
                break
            words = tuple(self.entries[name].at_the_end(self.plan.unit[name], self.rules.whole, seed))
            out.append(Work(f"end_{name}-s{seed}", name, words, {}, seed))
        return out

    def _ended(self, work: Work, job: Job, seconds: float) -> None:
        if (error := ended(job, ["done"])) is not None:
            raise JobFailed(f"{job.name} failed: {error}; see {job.folder}")
        with self.record.alone():
            known = self.record.kept("ends") or {}
            self.record.keep("ends", {**known, f"{work.arm}-s{work.seed}": [work.arm, work.seed]})
            self.record.keep(f"seconds_end_{work.arm}-s{work.seed}", seconds)
        best = rungs.best_until(job.folder, self.plan.unit[work.arm] * self.rules.whole)
        log.info(
            "anew  %-16s seed %d  dev %s %.4f  (%s of %s)",
            *(work.arm, work.seed, self.metric, best.mean, clock(self.record.spent()), clock(self.budget)),
        )

    def _ends(self, outcome: Outcome) -> list[tuple[str, int]]:
        known = self.record.kept("ends") or {}
        return [(name, seed) for name, seed in outcome.queue(self.first_seed) if f"{name}-s{seed}" in known]
