"""Processes of `hardneg ...` that start warm: forked from one that has imported what takes seconds, and done nothing.

Each has its own session, arguments, directory and environment, and may be killed like any other. Ranks that it starts
itself are started cold, as a user's are.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

SLOW = ["hardneg.commands.train", "hardneg.preflight.parts", "hardneg.sweep.hydra_app", "transformers.trainer_utils"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(SLOW)


class Ended(Exception):
    """A process that had to be killed because it took too long."""


def run(words: Sequence[str], out: Path, err: Path, seconds: float) -> int:
    """Run a command, its output in two files; return the exit code, -9 after a SIGKILL.

    Raises `Ended` after so many seconds; all that it started is killed then.
    """
    process = _context.Process(target=_main, args=(list(words), dict(os.environ), os.getcwd(), str(out), str(err)))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        raise Ended(f"hardneg {' '.join(words)}: not done after {seconds:.0f} s")
    return process.exitcode


def _main(words: list[str], environment: dict[str, str], folder: str, out: str, err: str) -> None:
    os.setsid()  # if it hangs, its other ranks must go too
    for place, number in ((os.devnull, 0), (out, 1), (err, 2)):
        os.dup2(os.open(place, os.O_RDWR | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    os.chdir(folder)
    sys.argv = ["hardneg", *words]
    try:
        runpy.run_module("hardneg.cli", run_name="__main__", alter_sys=True)
    finally:
        threading._shutdown()  # as Python does before it ends, and multiprocessing does not
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
