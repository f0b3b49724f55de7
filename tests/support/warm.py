"""Processes of `hardneg ...` that start warm: forked from one that has imported what takes seconds, and done nothing.

`WarmPopen` stands in for `subprocess.Popen`, here and in what it starts, be they ranks, stages or jobs. All else is as
with a new Python: arguments, directory, environment, pipes, sessions, signals and exit codes.
"""

from __future__ import annotations

import atexit
import fcntl
import inspect
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import quick
from hydra._internal.hydra import Hydra
from lightning.fabric.utilities.rank_zero import _get_rank, rank_zero_only
from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler as torchruns
from torch.multiprocessing import start_processes

SLOW = ["hardneg.commands.train", "hardneg.preflight.parts", "hardneg.sweep.hydra_app", "transformers.trainer_utils"]
SLOW += ["pandas", "pyarrow.pandas_compat", "transformers.optimization", "matplotlib.backends.backend_agg"]
SLOW += ["hardneg.serving.http.server"]
MODULES = ("hardneg.cli", "torch.distributed.run", "submitit.local._local", "submitit.core._submit")
MODULES += ("ipykernel_launcher",)
ColdPopen = subprocess.Popen
LARGEST = 200_000  # bytes of a message: words and environment of one process

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(SLOW)


def spawn(function: Callable[..., None], args: tuple[Any, ...], nprocs: int, join: bool = True) -> Any:
    """Do what `torch.multiprocessing.spawn` does, in warm processes."""
    return start_processes(function, args=args, nprocs=nprocs, join=join, start_method="forkserver")


class Zygote:
    """A process that was forked before anything was done, and forks itself when asked to; it goes when we go."""

    def __init__(self, asking: socket.socket) -> None:
        self._asking = asking
        self._lock = threading.Lock()

    @classmethod
    def forked(cls, but: Sequence[int] = ()) -> Zygote:
        """Fork one from this process, in which nothing has been done; it has not the descriptors `but`.

        A lock that the process was given must go with it, not with the zygote.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            ours.close()
            for descriptor in but:
                os.close(descriptor)
            _serve(theirs)
        theirs.close()
        return cls(ours)

    @classmethod
    def apart(cls) -> Zygote:
        """Start one beside this process, in which much may have been done; it has composed and checked a config."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        context.Process(target=_serve_warm, args=(theirs,)).start()
        theirs.close()
        return cls(ours)

    def close(self) -> None:
        """Let it go."""
        self._asking.close()

    def fork(self, order: dict[str, Any], descriptors: list[int]) -> int:
        """Return the process number of a new one, which has these descriptors and does what the order says."""
        with self._lock:
            return self._ask(order, descriptors)

    def ended(self, number: int) -> tuple[int, int]:
        """Return what `os.waitpid` would: the number and the status, or 0 and 0 while the process runs.

        Also 0 and 0 where something else is being asked, as `subprocess` has it: a handler of signals that asks would
        wait for the very question that it interrupted.
        """
        if not self._lock.acquire(blocking=False):
            return 0, 0
        try:
            status = self._ask({"ended": number}, [])
        finally:
            self._lock.release()
        return (0, 0) if status is None else (number, status)

    def _ask(self, order: dict[str, Any], descriptors: list[int]) -> Any:
        socket.send_fds(self._asking, [json.dumps(order).encode()], descriptors)
        return json.loads(self._asking.recv(LARGEST))


def _serve_warm(asked: socket.socket) -> NoReturn:
    quick.everything_once(setattr)
    quick.compose_one()
    _serve(asked)


def _serve(asked: socket.socket) -> NoReturn:
    signals = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    while True:
        said, descriptors, _, _ = socket.recv_fds(asked, LARGEST, 64)
        if not said:
            os._exit(0)
        order = json.loads(said)
        if "ended" in order:
            number, status = os.waitpid(order["ended"], os.WNOHANG)
            answer = status if number else None
        else:
            ready, begun = os.pipe()
            answer = os.fork()
            if answer == 0:
                asked.close()
                if order["session"]:
                    os.setsid()
                for end in (ready, begun):
                    os.close(end)
                for number, handler in signals.items():
                    signal.signal(number, handler)
                _child(order, descriptors)
            for descriptor in (*descriptors, begun):
                os.close(descriptor)
            os.read(ready, 1)  # until it is closed: who asked may at once send a signal to the new process's group
            os.close(ready)
        asked.send(json.dumps(answer).encode())


def _child(order: dict[str, Any], descriptors: list[int]) -> NoReturn:
    high = [fcntl.fcntl(given, fcntl.F_DUPFD, 256) for given in descriptors]  # out of the way of the wanted numbers
    for given, wanted in zip(high, order["places"], strict=True):
        os.dup2(given, wanted)
    for given in {*high, *descriptors} - set(order["places"]):
        os.close(given)
    _become(order)


def _become(order: dict[str, Any]) -> NoReturn:
    """Run a module as `python -m` does, in this process, and end it."""
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[:0] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.chdir(order["folder"])
    rank_zero_only.rank = _get_rank() or 0  # Lightning reads RANK when it is imported
    if os.environ.get("LOCAL_RANK", "0") == "0":  # other ranks start nothing
        WarmPopen.zygote = Zygote.forked([place for place in order["places"] if place > 2])
        subprocess.Popen = torchruns.Popen = WarmPopen  # torchrun keeps the one that was there when it was imported
    Hydra.get_mode = quick.composing_once()
    sys.argv = [order["module"], *order["words"]]
    code = 1
    try:
        quick.with_room_for_frames(lambda: runpy.run_module(order["module"], run_name="__main__", alter_sys=True))
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # as Python does before it ends, and a fork does not
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


class WarmPopen(ColdPopen):
    """`subprocess.Popen`, whose `python -m hardneg.cli ...` and the like are forked from the zygote instead."""

    zygote: Zygote

    def _execute_child(self, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(ColdPopen._execute_child).bind(self, *args, **kwargs).arguments
        command = [str(word) for word in given["args"]] if isinstance(given["args"], (list, tuple)) else []
        command = [word for word in command if word != "-u"]
        self._is_warm = command[:2] == [sys.executable, "-m"] and command[2] in MODULES
        if not self._is_warm:
            super()._execute_child(*args, **kwargs)
            return
        self.args = given["args"]
        theirs = {0: given["p2cread"], 1: given["c2pwrite"], 2: given["errwrite"]}
        theirs = {wanted: place if place >= 0 else wanted for wanted, place in theirs.items()}
        theirs |= {place: place for place in given["pass_fds"]}
        order = {
            "module": command[2],
            "words": command[3:],
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "folder": os.fspath(given["cwd"] or os.getcwd()),
            "session": bool(given["start_new_session"]),
            "places": list(theirs),
        }
        self.pid = self.zygote.fork(order, list(theirs.values()))
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(given[name] for name in pipes))

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if not self._is_warm:
            return super()._try_wait(wait_flags)
        while True:
            number, status = self.zygote.ended(self.pid)
            if number or wait_flags & os.WNOHANG:
                return number, status
            time.sleep(0.01)

    def _internal_poll(self, *args: Any, **kwargs: Any) -> int | None:
        if not self._is_warm:
            return super()._internal_poll(*args, **kwargs)
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                number, status = self._try_wait(os.WNOHANG)
                if number:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode
