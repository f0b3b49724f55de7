"""How far a run is, in its folder: `status.json`, and a lock that tells whether it still runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from hardneg.config import run_identity, started_with
from hardneg.config.run_identity import STATUS, written_status
from hardneg.errors import UserError
from hardneg.system.atomic_write import atomic_write, remove_drafts
from hardneg.system.file_lock import locked

log = logging.getLogger(__name__)

FILE, LOCK = STATUS, ".lock"
STATES = ("running", "failed", "interrupted", "waiting", "paused", "trial", "pruned", "done")
PATIENCE = 60.0  # seconds that an earlier attempt has to finish its step, after its launcher was killed

Status = dict[str, Any]

_claimed: dict[Path, ExitStack] = {}


def read(folder: Path) -> Status | None:
    """Return what the folder's status says, with the state as it is now; None without one.

    A state of "running" whose lock nobody holds becomes "interrupted": that run was killed.
    """
    found = written_status(folder)
    if found is None or found["state"] != "running" or held_by_somebody(folder):
        return found
    # Nobody is at work any more. What the run wrote last, before it let go, may be younger than what we have read.
    found = written_status(folder) or found
    if found["state"] == "running":
        found["state"] = "interrupted"
    return found


def write(folder: Path, **fields: Any) -> None:
    """Change some fields, atomically: neither a reader nor a kill ever meets half a file."""
    before = written_status(folder) or {}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FILE) as draft:
        draft.write_text(json.dumps({**before, **fields, "updated": round(time.time(), 1)}), encoding="utf-8")


def note_settled(folder: Path, cfg: DictConfig, **found: Any) -> None:
    """Note the number that `auto` came to; from then on the run is identified by `cfg`, which contains it.

    A run that goes on keeps its identity, whatever it was asked to start from.
    """
    same = run_identity.goes_on(cfg.get("ckpt_path"), folder)
    write(folder, **found, **{} if same else {"identity": run_identity.identity(cfg, folder)})


def begin(folder: Path, **fields: Any) -> None:
    """Note that this process works here; how far an earlier attempt came stays until this one is further."""
    for place in (folder, (folder / started_with.CONFIG).parent):
        remove_drafts(place, PATIENCE)
    process = {"host": socket.gethostname(), "pid": os.getpid(), "started": round(time.time(), 1)}
    write(folder, **fields, **process, state="running", error=None)


def claim(folder: Path, look: Callable[[], None]) -> None:
    """Hold the folder's lock from now until the end of the next `held`, unless `look` raises; raises as both do.

    For what is done between the look at a folder and the work in it: Hydra writes the config there.
    """
    stack = _claimed.pop(folder, None)  # where this process got no further than here before
    if stack is None:
        stack = ExitStack()
        stack.enter_context(_locked(folder))
    with stack:
        look()
        _claimed[folder] = stack.pop_all()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which a kill releases; raises `UserError` if another process keeps it."""
    with _claimed.pop(folder, None) or _locked(folder):
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, lambda: _at_work(folder), PATIENCE):
        yield


def _at_work(folder: Path) -> UserError:
    by = read(folder) or {}
    who = f"process {by['pid']} on {by['host']}" if "pid" in by else "another process"
    return UserError(f"{folder} is at work in {who}; wait for its end, or stop it")


def once_left(folder: Path) -> Status | None:
    """Return what the folder's status says once nobody is at work there, or after `PATIENCE` whoever is."""
    end, told = time.monotonic() + PATIENCE, False
    while (found := read(folder)) is not None and found["state"] == "running" and time.monotonic() < end:
        if not told:  # nothing else is shown meanwhile
            log.warning("%s is at work; waiting up to %d seconds for its end", folder, PATIENCE)
            told = True
        time.sleep(min(1.0, PATIENCE / 10))
    return found


def held_by_somebody(folder: Path) -> bool:
    """Whether a process is at work in the folder."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # somebody else's folder, which we may only read
        return True
    lock.release()
    return False


def begins_anew(last: Status) -> bool:
    """Whether a run failed in training; one that failed after the last step, as by a full disk, goes on from there."""
    trained = last.get("steps") is not None and last.get("step") == last["steps"]
    return last["state"] == "failed" and not trained


def remove_empty(folder: Path) -> None:
    """Remove the folder of a run that was refused before it made anything, so that a mistake leaves no trace."""
    inside = list(folder.iterdir()) if folder.is_dir() else []
    if all(path.name in (".hydra", LOCK, FILE) or path.suffix == ".log" for path in inside):
        shutil.rmtree(folder, ignore_errors=True)
