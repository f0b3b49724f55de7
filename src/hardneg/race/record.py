"""A race as Optuna keeps it: an arm is a trial, a rung a report, and a pruner says which arms have been stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, Trial, TrialState

from hardneg.errors import ConfigError
from hardneg.race.arm_state import ERROR, IDENTITY, NAME, SECONDS, SECONDS_AT_THE_END, TIMING, ArmState
from hardneg.race.budget import Timing
from hardneg.race.decide import Look
from hardneg.system.atomic_write import atomic_write

ASKED, PLAN, SAME, LOCKS, TIE = "asked", "plan", "same", "locks", ".shared"
OF_TIMINGS = ("arms", "words", "baseline")  # what the timings of steps hold for


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the block no other process of this race decides anything; a kill releases the lock."""
    (folder / LOCKS).mkdir(exist_ok=True)
    with FileLock(folder / LOCKS / "race.lock"):
        yield


def _name_of(path: Path) -> str:
    """The name that a file holds, made up by whoever comes first: races that share a cache may come at once."""
    if not _written(path):
        with FileLock(path.with_name(f"{path.name}.lock")):
            if not _written(path):
                with atomic_write(path) as draft:
                    draft.write_text(uuid4().hex, encoding="utf-8")
    return _written(path)


def _written(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


class StoppedArms(optuna.pruners.BasePruner):
    """Prunes the arms that a look at their rung has stopped."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the last look at this trial stopped it; False where nobody has looked yet."""
        seen = study.user_attrs.get(f"look_{trial.last_step}")
        return seen is not None and trial.user_attrs[NAME] in (*seen["worse"], *seen["no_time"])


class Record:
    """What is known of a race, shared by all processes that run it; what was once decided stays."""

    def __init__(self, study: optuna.Study, folder: Path) -> None:
        self.study, self.folder = study, folder
        study.pruner = StoppedArms()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within the block no other process decides anything."""
        with alone(self.folder):
            yield

    def tie(self, what: str, place: Path, otherwise: str) -> None:
        """Tie the race to a folder that all its processes must share, by a name that is kept in both.

        Raises `ConfigError`, saying `otherwise`, where the race is tied to another one.
        """
        place.mkdir(parents=True, exist_ok=True)
        with self.alone():
            own = _name_of(place / TIE)
            if self.kept(what) is None:
                self.keep(what, own)
            if self.kept(what) != own:
                raise ConfigError(otherwise)

    def enter(self, arms: Mapping[str, list[str]], asked: Mapping[str, Any]) -> None:
        """Enter the arms, or take up a race that was begun; raises `ConfigError` if that was another one."""
        with self.alone():
            before = self.kept(ASKED) or {}
            if different := [key for key in asked if key in before and before[key] != asked[key]]:
                said = "; ".join(f"{key}={before.get(key)} (now {asked[key]})" for key in different)
                raise ConfigError(
                    f"{self.folder} holds a race that was started with {said}; choose another hydra.sweep.dir"
                )
            if before != asked:
                self.keep(ASKED, dict(asked))
            known = {one.user_attrs.get(NAME) for one in self.study.get_trials(deepcopy=False)}
            for name in arms:
                if name not in known:
                    self.study.ask().set_user_attr(NAME, name)

    def refuse(self) -> None:
        """Leave it open how long the race is and how it judges, until there is a plan; its arms and timings stay."""
        with self.alone():
            if self.kept(PLAN) is None:
                self.keep(ASKED, {key: value for key, value in self.kept(ASKED).items() if key in OF_TIMINGS})

    def arms(self) -> dict[str, ArmState]:
        """How far each arm has come by now."""
        return {one.user_attrs[NAME]: ArmState.of(one) for one in self.study.get_trials() if NAME in one.user_attrs}

    def timed(self, name: str, timing: Timing, identity: str, seconds: float) -> None:
        """Note how long an arm's steps take, the identity of its run with its batch settled, and what that took."""
        trial = self._trial(name)
        trial.set_user_attr(f"{SECONDS}0", seconds)
        trial.set_user_attr(IDENTITY, identity)
        trial.set_user_attr(TIMING, asdict(timing))  # last: it is timed now

    def timings(self) -> dict[str, Timing]:
        """The timings of every arm, also of those that were left out since."""
        return {name: arm.timing for name, arm in self.arms().items() if arm.timing is not None}

    def identities(self) -> dict[str, str]:
        """The identity of each arm's run when it was timed."""
        return {name: arm.identity for name, arm in self.arms().items() if arm.identity is not None}

    def report(self, name: str, rung: int, mean: float, seconds: float) -> None:
        """Note an arm's dev metric at a rung."""
        trial = self._trial(name)
        trial.report(mean, rung)
        trial.set_user_attr(f"{SECONDS}{rung}", seconds)

    def seconds(self, rung: int) -> list[float]:
        """How long each arm has taken from the rung before to this one."""
        return [arm.seconds[rung] for arm in self.arms().values() if rung in arm.seconds]

    def racing(self) -> list[str]:
        """The arms that have not stopped."""
        return [name for name, arm in self.arms().items() if arm.state == TrialState.RUNNING]

    def look(self, rung: int) -> Look | None:
        """What was seen at a rung; None where nobody has looked yet."""
        seen = self.study.user_attrs.get(f"look_{rung}")
        return None if seen is None else Look(**seen)

    def looks(self) -> list[Look]:
        """All looks so far, from the first rung on."""
        seen = [key.removeprefix("look_") for key in self.study.user_attrs if key.startswith("look_")]
        return [Look(**self.study.user_attrs[f"look_{rung}"]) for rung in sorted(map(int, seen))]

    def looked(self, seen: Look) -> None:
        """Keep a look."""
        self.study.set_user_attr(f"look_{seen.rung}", asdict(seen))

    def stopped(self, rung: int) -> list[str]:
        """The arms that the look at a rung has stopped and the study still counts as racing."""
        there = self.arms()
        return [n for n in self.racing() if there[n].standing[0] == rung and self._trial(n).should_prune()]

    def stop(self, name: str) -> None:
        """Write down that an arm has stopped."""
        self.study.tell(self._trial(name), state=TrialState.PRUNED, skip_if_finished=True)

    def left_out(self) -> dict[str, str]:
        """The arms that would repeat another arm's run, each with that arm; empty until all are timed."""
        return dict(self.kept(SAME) or {})

    def finished(self, name: str, value: float) -> None:
        """Tell the study an arm's final dev metric."""
        self.study.tell(self._trial(name), value, skip_if_finished=True)

    def failed(self, name: str, error: str) -> None:
        """Note that an arm could not go on."""
        trial = self._trial(name)
        trial.set_user_attr(ERROR, error)
        self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def keep(self, key: str, value: Any) -> None:
        """Note something of the whole race."""
        self.study.set_user_attr(key, value)

    def keep_first(self, key: str, value: Any) -> None:
        """Note something of the whole race, unless it is known."""
        with self.alone():
            if self.kept(key) is None:
                self.keep(key, value)

    def idle(self, seconds: float) -> None:
        """Count seconds in which more runs could have been at work: a race ends by the clock."""
        self.keep(f"{SECONDS}idle_{uuid4().hex[:8]}", seconds)

    def kept(self, key: str) -> Any:
        """What was noted; None where nothing was."""
        return self.study.user_attrs.get(key)

    def spent(self) -> float:
        """The seconds of the checks, of all runs that were not cut off, and of idle places beside them."""
        of_arms = sum(sum(arm.seconds.values()) for arm in self.arms().values())
        return float(of_arms + sum(v for key, v in self.study.user_attrs.items() if key.startswith(SECONDS)))

    def seconds_at_the_end(self) -> list[float]:
        """How long each run at the end took that has ended."""
        return [v for key, v in self.study.user_attrs.items() if key.startswith(SECONDS_AT_THE_END)]

    def _trial(self, name: str) -> Trial:
        (found,) = (one for one in self.study.get_trials(deepcopy=False) if one.user_attrs.get(NAME) == name)
        return Trial(self.study, found._trial_id)
