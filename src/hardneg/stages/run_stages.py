"""Running stages: each in a process of its own, interruptible, one after the other in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hardneg.config.command_words import command_line, quoted
from hardneg.config.run_summary import SUMMARY
from hardneg.errors import ConfigError, UserError
from hardneg.stages.recipe import MERGE, Stage, StagesPlan
from hardneg.system.signals import stopping_by

LOCK = "stages.lock"


def run(plan: StagesPlan) -> None:
    """Run what is not done yet, in order; raises `UserError` with the name of the stage that failed.

    SIGTERM and Ctrl-C stop the stage at hand after its step, and end with exit code 128 + signal.
    """
    with alone(plan.folder) as lock:
        for number, stage in enumerate(plan.stages, start=1):
            where = f"stage {stage.name} ({number} of {len(plan.stages)})"
            if stage.done:
                say(f"{where} is done")
                continue
            words = command_of(stage, plan.config_dir)
            say(f"{where}: {command_line(*words)}")
            code, stopped = launch(words, lock)
            if stopped is not None:
                say(f"stopped in {where}; resume with: {command_line('resume', plan.folder)}")
                sys.exit(128 + stopped)
            if code or not stage.done:
                raise UserError(
                    f"stage {stage.name} {_end(code)}; its own message is above. When that is fixed,"
                    f" resume with {command_line('resume', plan.folder)}"
                )
    say(f"all stages are done: {plan.stages[-1].folder}")


def command_of(stage: Stage, config_dir: Path | None) -> list[str]:
    """The words that run or resume a stage."""
    if stage.command == MERGE:
        return [stage.command, *stage.overrides, "--to", str(stage.merged)]
    if stage.begun:
        return ["resume", str(stage.folder)]
    own = [] if config_dir is None else ["--config-dir", str(config_dir)]
    return [stage.command, *own, *stage.overrides, f"hydra.run.dir={quoted(stage.folder)}"]


def launch(words: Sequence[str], lock: int) -> tuple[int, int | None]:
    """Run `hardneg ...` in a process that holds the lock too; return its exit code, and the signal that we got.

    With a process for each stage memory is returned, and Lightning can start the other ranks of each.
    """
    got: list[int] = []
    process = None

    def pass_on(number: int, _: object) -> None:
        got.append(number)
        if process is not None:
            process.send_signal(signal.SIGTERM)

    with stopping_by(pass_on):
        try:
            process = subprocess.Popen([sys.executable, "-m", "hardneg.cli", *words], pass_fds=[lock])
            _sign(lock, process.pid)
            if got:  # the signal came while it was being started
                process.send_signal(signal.SIGTERM)
            return process.wait(), got[0] if got else None
        finally:
            _sign(lock, os.getpid())


@contextmanager
def alone(folder: Path, what: str = "stages are") -> Iterator[int]:
    """Hold the folder; raises `ConfigError` if another process does, saying `what` is at work there.

    The stage's process inherits the hold: should this one be killed alone, nobody trains beside what it leaves behind.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = f"process {file.read().strip() or 'of another user'}"
            raise ConfigError(f"{folder}: {what} at work here ({who}); wait for the end, or stop it") from error
        _sign(file.fileno(), os.getpid())
        yield file.fileno()


def _sign(lock: int, process: int) -> None:
    """Note who is at work: the stage's process goes on if ours is killed."""
    os.ftruncate(lock, 0)
    os.write(lock, f"{process}".encode())


def say(text: str) -> None:
    """Tell on the screen, between what the stages log there."""
    sys.stderr.write(f"{text}\n")


def _end(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}" if code else f"ended without a {SUMMARY}"
