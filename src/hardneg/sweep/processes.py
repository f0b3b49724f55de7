"""Run each job of a sweep as a process of its own, several at a time, and show how far they are."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log
from omegaconf import DictConfig, OmegaConf

from hardneg.config.command_words import command_line, command_named, quoted
from hardneg.config.composition import config_dir_words
from hardneg.errors import JobFailed
from hardneg.runs import status
from hardneg.runs.earlier_run import finished
from hardneg.runs.job import INTERRUPTED, WATCH
from hardneg.sweep.jobs import Job, compose
from hardneg.sweep.live_table import view
from hardneg.sweep.machine_shares import Gpus, ranks, threads, visible_gpus
from hardneg.system.counts_in_words import counted
from hardneg.system.signals import stopping_by

log = logging.getLogger(__name__)

OUTPUT = "output.log"  # in the run folder: all that the process prints
PAUSE = 0.2  # seconds between two looks at the processes
ABOUT_SWEEPS = (
    *("hydra.sweep.", "hydra.run.", "hydra/launcher=", "hydra.launcher.", "hydra/sweeper=", "hydra.sweeper."),
    "hydra.mode=",
)


@dataclass
class Running:
    """A job's process, and the GPUs that it has."""

    job: Job
    process: subprocess.Popen[bytes]
    gpus: list[str]
    began: float = field(default_factory=time.time)


def run(
    config: DictConfig, n_jobs: int, job_overrides: Sequence[Sequence[str]], initial_job_idx: int, shares: int
) -> Sequence[JobReturn]:
    """Run a sweep's jobs, each as `hardneg COMMAND ...` of its own, at most `n_jobs` at a time.

    A job has one of `shares` equal shares of the machine's cores and GPUs.

    So a job may start ranks of its own (`trainer.devices`), and one that crashes does not affect the others. After
    SIGINT or SIGTERM jobs stop after their step, and the same sweep goes on with them later; a second one kills them.
    They also stop if the launcher is killed. Returns each job's result or why it failed; raises `SystemExit` after a
    signal.
    """
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    jobs = [compose(config, words, number) for number, words in enumerate(job_overrides, initial_job_idx)]
    waiting = [job for job in jobs if finished(job.folder, job.cfg) is None]
    log.info("%s, %d finished already; %d at a time", counted(len(jobs), "job"), len(jobs) - len(waiting), n_jobs)
    pool = ProcessPool(config, n_jobs, shares)
    pool.run(jobs, waiting)
    if pool.stopped is not None:
        sys.exit(128 + pool.stopped)
    return [_returned(job) for job in jobs]


class ProcessPool:
    """The processes at work, and what they share."""

    def __init__(self, config: DictConfig, n_jobs: int, shares: int) -> None:
        # Not the shares of the missing jobs alone: another number of threads would round differently from an
        # uninterrupted sweep.
        self.config, self.n_jobs, self.shares = config, n_jobs, shares
        self.stopped: int | None = None  # the signal that ends the sweep

    def run(self, jobs: list[Job], waiting: list[Job]) -> None:
        """Start waiting jobs as soon as there is room, until all have ended or a signal ends the sweep."""
        gpus, running = Gpus(visible_gpus(os.environ)), list[Running]()
        with self._signals(running), view([job.folder for job in jobs]) as look:
            while running or (waiting and self.stopped is None):
                while waiting and len(running) < self.n_jobs and self.stopped is None:
                    running.append(self._start(waiting.pop(0), gpus))
                    if self.stopped is not None:  # the signal came while it started
                        running[-1].process.terminate()
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    one.process.communicate()  # closes our end of its stdin
                    gpus.give_back(one.gpus)
                    _note_end(one.job, one.process.returncode, one.began)
                look()
                time.sleep(PAUSE)

    def _start(self, job: Job, gpus: Gpus) -> Running:
        node: Any = OmegaConf.to_container(job.cfg, resolve=True)
        environment = {**os.environ, WATCH: "1", **threads(self.shares, ranks(node), os.environ)}
        if not {"", os.getcwd()} & set(sys.path):
            environment["PYTHONSAFEPATH"] = "1"  # a random.py in this folder must not replace Python's, as with -m
        taken = gpus.take(gpus.wanted(node, self.shares))
        if len(gpus.names) > 1 and taken:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        command = [sys.executable, "-m", "hardneg.cli", *self._words(job)]
        job.folder.mkdir(parents=True, exist_ok=True)
        with (job.folder / OUTPUT).open("ab") as output:
            output.write(f"$ {command_line(*command[3:])}\n".encode())
            output.flush()
            # A session of its own: Ctrl-C reaches us alone, and we can end a job with all its ranks.
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        return Running(job, process, taken)

    def _words(self, job: Job) -> list[str]:
        """The job's command line: command, search path, its words, and Hydra's words that are not about the sweep."""
        app = self.config.hydra
        kept = [word for word in app.overrides.hydra if not word.lstrip("+~").startswith(ABOUT_SWEEPS)]
        place = [f"hydra.run.dir={quoted(job.folder)}", f"hydra.job.num={job.number}", f"hydra.job.id={job.number}"]
        return [command_named(app.job.config_name), *config_dir_words(app), *job.overrides, *kept, *place]

    @contextmanager
    def _signals(self, running: list[Running]) -> Iterator[None]:
        """Pass SIGINT and SIGTERM on to the jobs: the first asks them to stop, the second kills them."""

        def stop(number: int, _: FrameType | None) -> None:
            again, self.stopped = self.stopped is not None, number
            for one in running:
                if one.process.poll() is None:
                    os.killpg(one.process.pid, signal.SIGKILL) if again else one.process.terminate()
            if not again:
                log.warning(
                    "stopping %d jobs after their step; a second signal kills them, which costs little", len(running)
                )

        with stopping_by(stop):
            yield


def _note_end(job: Job, code: int, began: float) -> None:
    """Note in the folder why a process ended that could not note it itself."""
    found = status.read(job.folder) or {}
    # One that lost a rank has noted so, and goes on later; notes of earlier attempts no longer count.
    if found.get("state") == "interrupted" and found.get("error") and found["updated"] >= round(began, 1):
        return
    # A folder that is still running belongs to another process, which is why ours has exited.
    if code in (0, *INTERRUPTED, -signal.SIGTERM) or found.get("state") in ("failed", "running"):
        return
    if code < 0:  # killed from outside, as for lack of memory: it can go on
        status.write(job.folder, state="interrupted", error=f"killed by {signal.Signals(-code).name}")
    else:
        status.write(job.folder, state="failed", error=_last_line(job.folder / OUTPUT) or f"exit {code}")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _returned(job: Job) -> JobReturn:
    """What Hydra's sweepers are told of a job."""
    out = JobReturn(overrides=job.overrides, cfg=job.cfg, task_name=job.name)
    found = finished(job.folder, job.cfg) or status.read(job.folder) or {"state": "failed"}
    if found["state"] == "done":
        out.status, out.return_value = JobStatus.COMPLETED, found["result"]
    else:
        reason = found.get("error") or "did not finish"
        out.status = JobStatus.FAILED
        out.return_value = JobFailed(f"{job.name}: {reason}; see {job.folder / OUTPUT}")
    return out
