"""Doing the runs of a race: each is claimed, so that several processes share them, and launched as a sweep's job is."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hardneg.errors import ConfigError, JobFailed
from hardneg.race.record import LOCKS
from hardneg.runs import status
from hardneg.runs.folder import clear
from hardneg.sweep.check_jobs import check_job, editable
from hardneg.sweep.jobs import Job, compose
from hardneg.system.cores import cores
from hardneg.system.log_level import at_level

LAUNCHER = "hydra._internal.core_plugins.basic_launcher"  # which logs every launch
ARMS = "hydra.sweeper.arms."
PAUSE = 0.5  # seconds between two looks at what others do


@dataclass(frozen=True)
class Work:
    """One run, or one part of it: a name of its own, its words, and its part in the race."""

    name: str
    arm: str
    words: tuple[str, ...]
    part: dict[str, Any]
    seed: int = 0


class Executor:
    """Runs work by Hydra's launcher; `n_jobs` at a time where that has several processes."""

    def __init__(self, config: DictConfig, launcher: Launcher, folder: Path) -> None:
        self.config, self.launcher, self.folder = config, launcher, folder
        # Jobs are composed without race=NAME, so they have no arms that such a word could change.
        with editable(config.hydra):
            own = [word for word in config.hydra.overrides.hydra if not word.lstrip("+~").startswith(ARMS)]
            config.hydra.overrides.hydra = own
        if hasattr(launcher, "always_shared"):  # an arm's steps take as long alone as beside others
            launcher.always_shared = True
        self.n_jobs = at_a_time(int(config.hydra.launcher.get("n_jobs", 1)))
        self.idle: Callable[[float], None] = lambda seconds: None  # hears of seconds without enough runs
        self.number = 0

    def compose(self, words: Sequence[str], check: bool = False) -> Job:
        """Compose a run; with `check` raises `ConfigError` for what cannot work."""
        self.number += 1
        more = {"check": partial(check_job, launcher=self.config.hydra.launcher)} if check else {}
        return compose(self.config, list(words), self.number, **more)

    def work_off(self, wanted: Callable[[], list[Work]], done: Callable[[Work, Job, float], None]) -> None:
        """Do what is wanted until nothing is left; wait for what others work on, and take it over when they are gone.

        `done` is told of each run that has ended, with its seconds, before anybody else may claim it.
        """
        while waiting := wanted():
            with ExitStack() as held:
                claimed = self._claim(held, waiting)
                still = {one.name for one in wanted()}  # somebody may just have done it
                mine = [one for one in claimed if one.name in still][: self.n_jobs]
                if mine:
                    ended = self._launched(mine)
                    for one, job, seconds in ended:
                        done(one, job, seconds)
                    if len(still) < self.n_jobs:
                        self.idle((self.n_jobs - len(still)) * ended[0][2])
            if not mine:
                time.sleep(PAUSE)

    def _claim(self, held: ExitStack, waiting: Sequence[Work]) -> list[Work]:
        claimed: list[Work] = []
        (self.folder / LOCKS).mkdir(exist_ok=True)
        for one in waiting:
            if len(claimed) == self.n_jobs:
                break
            lock = FileLock(self.folder / LOCKS / f"{one.name}.lock")
            with contextlib.suppress(Timeout):
                held.enter_context(lock.acquire(timeout=0))
                claimed.append(one)
        return claimed

    def _launched(self, works: Sequence[Work]) -> list[tuple[Work, Job, float]]:
        began = time.monotonic()
        jobs = [self.compose(one.words) for one in works]
        for one, job in zip(works, jobs, strict=True):
            prepare(job, one)
        self._launch(jobs)
        seconds = time.monotonic() - began
        return [(one, job, seconds) for one, job in zip(works, jobs, strict=True)]

    def _launch(self, jobs: Sequence[Job]) -> None:
        with quiet():
            self.launcher.launch([list(job.overrides) for job in jobs], initial_job_idx=jobs[0].number)


def at_a_time(n_jobs: int) -> int:
    """How many runs a launcher's `n_jobs` means; joblib's, -1 by default, counts back from the number of cores."""
    return n_jobs if n_jobs > 0 else max(cores() + 1 + n_jobs, 1)


def prepare(job: Job, work: Work) -> None:
    """Note in the folder what its run is to do; what failed begins anew. Raises `ConfigError` for another's folder."""
    found = status.read(job.folder)
    facts = job.facts
    if found is not None and found.get("identity") not in (None, facts["identity"]):
        raise ConfigError(f"{job.folder} holds a run of another config; choose another hydra.sweep.dir")
    if found is not None and status.begins_anew(found):
        clear(job.folder)
        found = None
    status.write(job.folder, **facts, race=work.part, state="waiting" if found is None else found["state"], error=None)


def ended(job: Job, states: Sequence[str]) -> str | None:
    """None for a run that has ended as it should, else its error; raises `JobFailed` for one that was stopped."""
    found = status.read(job.folder) or {}
    if found.get("state") in states:
        return None
    if found.get("state") == "failed":
        return str(found.get("error") or "it failed")
    raise JobFailed(f"{job.name} was {found.get('state', 'not begun')}; the same command resumes it")


def forget(job: Job) -> None:
    """Remove the folder of a run that was only timed."""
    shutil.rmtree(job.folder, ignore_errors=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave the screen to the race: a run's tables are in its folder, and lines of our own tell of launches."""
    with at_level(LAUNCHER, logging.WARNING), contextlib.redirect_stdout(io.StringIO()):
        yield
