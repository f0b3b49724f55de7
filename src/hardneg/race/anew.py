"""The runs at a race's end: the arm to take, the baseline and the runner-up, trained anew on seeds of their own."""

from __future__ import annotations

import logging

import numpy as np

from hardneg.errors import JobFailed
from hardneg.race.course import Course
from hardneg.race.crew import Work, ended
from hardneg.race.outcome import Outcome
from hardneg.runs import rungs
from hardneg.sweep.jobs import Job
from hardneg.system.progress import clock

log = logging.getLogger(__name__)


class Anew:
    """The part of a race after its verdict; `first_seed` is the first that no arm has raced with."""

    def __init__(self, course: Course, outcome: Outcome, first_seed: int) -> None:
        self.course, self.outcome, self.record = course, outcome, course.record
        self.queue = outcome.queue(first_seed)

    def run(self) -> list[tuple[str, int]]:
        """Train what there is time for; return the arms and seeds that were trained."""
        self.course.crew.work_off(self.wanted, self._ended)
        known = self.record.kept("ends") or {}
        return [(name, seed) for name, seed in self.queue if f"{name}-s{seed}" in known]

    def wanted(self) -> list[Work]:
        """The runs that are left: the first of each arm that is compared in any case, others while there is time."""
        known = self.record.kept("ends") or {}
        times = [value for key, value in self.record.study.user_attrs.items() if key.startswith("seconds_end_")]
        plan, whole = self.outcome.plan, self.course.rules.whole
        cost = float(np.mean(times)) if times else plan.cost
        left, out = self.course.left(), list[Work]()
        for number, (name, seed) in enumerate(self.queue):
            if f"{name}-s{seed}" in known:
                continue
            if number >= 2 and cost * (len(out) + 1) > left:
                break
            words = tuple(self.course.entries[name].at_the_end(plan.unit[name], whole, seed))
            out.append(Work(f"end_{name}-s{seed}", name, words, {}, seed))
        return out

    def _ended(self, work: Work, job: Job, seconds: float) -> None:
        if (error := ended(job, ["done"])) is not None:
            raise JobFailed(f"{job.name} failed: {error}; see {job.folder}")
        with self.record.alone():
            known = self.record.kept("ends") or {}
            self.record.keep("ends", {**known, f"{work.arm}-s{work.seed}": [work.arm, work.seed]})
            self.record.keep(f"seconds_end_{work.arm}-s{work.seed}", seconds)
        best = rungs.best_until(job.folder, self.outcome.plan.unit[work.arm] * self.course.rules.whole)
        log.info(
            "anew  %-16s seed %d  dev %s %.4f  (%s of %s)",
            *(work.arm, work.seed, self.course.metric, best.mean),
            *(clock(self.record.spent()), clock(self.course.budget)),
        )
