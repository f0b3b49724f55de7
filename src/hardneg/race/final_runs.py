"""The runs at a race's end: the arm to take, the baseline and the runner-up, trained anew on seeds of their own."""

from __future__ import annotations

import logging

import numpy as np

from hardneg.errors import JobFailed
from hardneg.race.arm_state import SECONDS, SECONDS_AT_THE_END
from hardneg.race.budget import slots
from hardneg.race.executor import Work, ended
from hardneg.race.outcome import RaceOutcome, Run
from hardneg.race.portfolio import run_name
from hardneg.race.race import Race
from hardneg.race.record import Record
from hardneg.runs import rungs
from hardneg.sweep.jobs import Job

log = logging.getLogger(__name__)

FAILED = "failed_ends"


class FinalRuns:
    """The part of a race after its verdict; `first_seed` is the first that no arm has raced with.

    One run of the arm to take and one of the baseline are trained whatever the time. A failure of these ends the race;
    without any other run the race is judged by those that succeeded. Another seed is begun only with time for all runs
    that are compared on it, and left where one of them has failed. A race that is asked for again tries what failed
    once more (see `try_again`).
    """

    def __init__(self, race: Race, outcome: RaceOutcome, first_seed: int) -> None:
        self.race, self.outcome, self.record = race, outcome, race.record
        self.groups = outcome.runs_anew(first_seed)
        self.width = max(len(name) for group in self.groups for name, _ in group)
        self.must = [(name, first_seed) for name in dict.fromkeys((outcome.verdict.taken, outcome.baseline))]

    def run(self) -> list[Run]:
        """Train what there is time for; return the arms and seeds that were trained."""
        known = self.record.kept("ends") or {}
        if missing := [name for name, seed in self.must if run_name(name, seed) not in known]:
            needed = slots(len(missing), self.race.executor.n_jobs) * self._cost()
            self.race.warn_if_over(needed, f"time is short for a run of {' and of '.join(missing)} with the test")
        self.race.executor.work_off(self.wanted, self._ended)
        known = self.record.kept("ends") or {}
        return [run for group in self.groups for run in group if run_name(*run) in known]

    def wanted(self) -> list[Work]:
        """The runs that are left: the first in any case, others while there is time and somebody to compare with."""
        ended, failed = (set(known) for known in (self.record.kept("ends") or {}, failed_ends(self.record)))
        cost, left, out = self._cost(), self.race.left(), list[Run]()
        for group in self.groups:
            missing = [run for run in group if run_name(*run) not in ended | failed]
            in_time = cost * slots(len(out) + len(missing), self.race.executor.n_jobs) <= left
            # Arms are compared on the seeds that they share: without the baseline's run of its seed one tells nothing.
            shared = run_name(self.outcome.baseline, group[0][1])
            paired = not failed & {run_name(*run) for run in group} and shared in ended | {
                run_name(*run) for run in (*group, *out)
            }
            out += [run for run in missing if run in self.must or (in_time and paired)]
        return [self._work(name, seed) for name, seed in out]

    def _work(self, name: str, seed: int) -> Work:
        unit, whole = self.outcome.plan.unit[name], self.race.rules.whole
        words = tuple(self.race.entries[name].at_the_end(unit, whole, seed))
        return Work(f"end_{run_name(name, seed)}", name, words, {}, seed)

    def _cost(self) -> float:
        """The seconds of such a run: the mean of those that ended, or else what a whole run has cost recently."""
        times = self.record.seconds_at_the_end()
        return (
            float(np.mean(times)) if times else self.race.costs(self.outcome.plan, self.race.rules.rungs).at_the_end()
        )

    def _ended(self, work: Work, job: Job, seconds: float) -> None:
        if (error := ended(job, ["done"])) is not None:
            self._failed(work, job, error, seconds)
            return
        with self.record.alone():
            known = self.record.kept("ends") or {}
            self.record.keep("ends", {**known, run_name(work.arm, work.seed): [work.arm, work.seed]})
            self.record.keep(f"{SECONDS_AT_THE_END}{run_name(work.arm, work.seed)}", seconds)
        best = rungs.best_until(job.folder, self.outcome.plan.unit[work.arm] * self.race.rules.whole)
        log.info(
            "anew  %-*s  seed %d  dev %s %.4f  %s",
            *(self.width, work.arm, work.seed, self.race.metric, best.mean, self.race.so_far()),
        )

    def _failed(self, work: Work, job: Job, error: str, seconds: float) -> None:
        if (work.arm, work.seed) in self.must:
            raise JobFailed(f"{job.name} failed: {error}; see {job.folder}")
        run = run_name(work.arm, work.seed)
        with self.record.alone():
            self.record.keep(FAILED, {**failed_ends(self.record), run: error})
            self.record.keep(f"{SECONDS}failed_{run}", seconds)
        log.warning("%s failed, and the race is judged without it: %s; see %s", run, error, job.folder)


def try_again(record: Record) -> None:
    """Forget which runs at the end have failed, so that this start of the race, which has just begun, tries them."""
    with record.alone():
        if failed_ends(record):
            record.keep(FAILED, {})


def failed_ends(record: Record) -> dict[str, str]:
    """The runs at the end that failed and that the race is judged without, each with its error."""
    return dict(record.kept(FAILED) or {})
