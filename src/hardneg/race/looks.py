"""The rungs of a race: its arms train to each of them, and a look at dev says which go on."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from hardneg.compare.p_values import written
from hardneg.errors import DataError
from hardneg.race.budget import RacePlan, room, slots
from hardneg.race.decide import Look, Verdict, look, verdict
from hardneg.race.executor import Work, ended
from hardneg.race.race import Race, indented
from hardneg.runs import rungs, status
from hardneg.runs.rungs import DevValues
from hardneg.sweep.jobs import Job

log = logging.getLogger(__name__)


class Rungs:
    """The part of a race between its plan and the verdict."""

    def __init__(self, race: Race, plan: RacePlan) -> None:
        self.race, self.plan, self.record, self.rules = race, plan, race.record, race.rules
        self.width = max(map(len, plan.unit))

    def run(self) -> Verdict:
        """Train what is left, and judge the arms that have come to the last rung."""
        for rung in range(1, self.rules.rungs + 1):
            self._train_to(rung)
            if rung < self.rules.rungs:
                self._look(rung)
        return self._verdict()

    def _train_to(self, rung: int) -> None:
        def behind() -> list[Work]:
            last = rung == self.rules.rungs
            out = []
            for name, arm in self.record.arms().items():
                if name in racing and rung not in arm.dev and not arm.failed:
                    unit = self.plan.unit[name]
                    part = {} if last else {"until": unit * self.rules.units(rung)}
                    words = tuple(self.race.entries[name].raced(unit, self.rules.whole))
                    out.append(Work(f"arm_{name}", name, words, part))
            return out

        before = self.record.look(rung - 1)
        racing = set(self.record.racing() if before is None else before.on) & set(self.plan.unit)
        count = len(racing)
        self.race.executor.work_off(behind, lambda work, job, seconds: self._arrived(work, job, seconds, rung, count))

    def _arrived(self, work: Work, job: Job, seconds: float, rung: int, racing: int) -> None:
        if (error := ended(job, ["paused", "done"])) is not None:
            self.race.failed(work.arm, error, job)
            return
        best = self._dev(work.arm, rung)
        self.record.report(work.arm, rung, best.mean, seconds)
        there = sum(rung in arm.dev for arm in self.record.arms().values())
        reached = next(n for n in range(1, rung + 1) if best.step <= self.plan.unit[work.arm] * self.rules.units(n))
        log.info(
            "rung %d of %d  %-*s  dev %s %.4f%s  %d of %d, %s",
            *(rung, self.rules.rungs, self.width, work.arm, self.race.metric, best.mean),
            *("" if reached == rung else f" (at rung {reached})", there, racing, self.race.so_far()),
        )

    def _dev(self, arm: str, rung: int) -> DevValues:
        return rungs.best_until(self.race.folder / "arms" / arm, self.plan.unit[arm] * self.rules.units(rung))

    def _scores(self, rung: int) -> dict[str, Any]:
        """Dev by query of the arms that have come to a rung; raises `DataError` if their queries are not the same."""
        arrived = [name for name, arm in self.record.arms().items() if rung in arm.dev]
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
                seen = look(self._scores(rung), rung, self.rules, self.race.baseline, self._room(rung))
                self.record.looked(seen)
            for name in self.record.stopped(rung):  # also what a process that was killed after its look has left
                facts = {"state": "pruned", "result": self._dev(name, rung).mean}
                status.write(self.race.folder / "arms" / name, **facts)
                self.record.stop(name)
        self._tell(seen)
        self._warn(rung, 1 if seen.leader == self.race.baseline else 2)

    def _warn(self, rung: int, ends: int) -> None:
        """Warn where the time left is too short for what is still to do; `ends` is the number of runs at the end."""
        if self.record.seconds(rung + 1):  # some arm is further already
            return
        cost, at_once = self.race.costs(self.plan, rung), self.race.executor.n_jobs
        needed = slots(2, at_once) * sum(cost.rung(later) for later in range(rung + 1, self.rules.rungs + 1))
        needed += slots(ends, at_once) * cost.at_the_end()
        runs = "one run" if ends == 1 else "two runs"
        what = f"time is short for two arms to the last rung and {runs} with the test"
        self.race.warn_if_over(needed, what, early=True)

    def _room(self, rung: int) -> int:
        cost = self.race.costs(self.plan, rung)
        return room(self.race.left(), cost, rung, 2 * self.plan.seeds, self.race.executor.n_jobs)

    def _tell(self, seen: Look) -> None:
        def named(arms: list[str]) -> list[str]:
            return [f"{name} (p {written(seen.p[name], seen.level)})" if name in seen.p else name for name in arms]

        log.info(
            "rung %d of %d: %s leads; p against it, worse below %.2g",
            *(seen.rung, self.rules.rungs, seen.leader, seen.level),
        )
        for what, arms in (
            ("worse, stopped", seen.worse),
            ("stopped as time is short, though not proven worse", seen.no_time),
            ("on", seen.on),
        ):
            if arms:
                log.info("%s", indented(named(arms), f"{what}: "))

    def _verdict(self) -> Verdict:
        scores, baseline = self._scores(self.rules.rungs), self.race.baseline
        said = verdict(scores, baseline, list(self.race.entries))
        for name, values in scores.items():
            self.record.finished(name, float(values.mean()))
        if said.leader == baseline:
            log.info("%s, the baseline, is the best on dev", baseline)
        elif said.taken == baseline:
            log.info("%s leads on dev, by less than one standard error", said.leader)
        else:
            ahead = float(scores[said.taken].mean() - scores[baseline].mean())
            log.info("%s is ahead of %s on dev by %.4f; now on other seeds", said.taken, baseline, ahead)
        return said
