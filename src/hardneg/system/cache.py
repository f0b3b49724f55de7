"""The cache that all jobs share: named by content, written once, never incomplete."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from filelock import FileLock

from hardneg.errors import ConfigError
from hardneg.system import agreement, distributed
from hardneg.system.cache_folder import HELD, UNFINISHED


def fingerprint(identity: Any) -> str:
    """Hash plain nested values; equal values give equal names whatever the order of keys."""
    return blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=12).hexdigest()


def built_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, building it first if it is not there; of several processes one builds and the others wait.

    `build` fills a temporary folder beside it, which is synced and then renamed: a kill at any moment leaves either
    the whole folder or none. Of the ranks of a run, which all ask, rank 0 comes first; the others find what it built,
    or build it for a machine that has a cache of its own. None goes on before all have it: another job may hold the
    lock for hours, and a rank that went on would wait in a collective, whose patience is limited. Raises `ConfigError`
    where ranks ask for different folders.
    """
    if not distributed.active():
        return _built(folder, build)
    agreement.agree("a folder in the cache", folder.name)
    agreement.first(lambda: _built(folder, build))
    if distributed.rank() > 0:
        with distributed.alone():
            _built(folder, build)
    agreement.barrier()
    return folder


def built_together(folder: Path, build: Callable[[Path | None], None]) -> Path:
    """As `built_once`, for work that all ranks of a run share: each of them calls `build`, and rank 0 gets the folder.

    Only rank 0 takes the lock and decides: a rank that decided for itself could find the folder built meanwhile by
    another run, and leave its fellows waiting for its share. They hear from it when it has the lock. Raises
    `ConfigError` where ranks ask for different folders, and where one does not see what rank 0 has filled.
    """
    if not distributed.active():
        return _built(folder, build)
    agreement.agree("a folder in the cache", folder.name)
    if distributed.rank() == 0:
        with ExitStack() as held:
            if agreement.first(lambda: held.enter_context(_missing(folder))):
                with _filled(folder) as unfinished:
                    build(unfinished)
    elif agreement.first(lambda: False):
        build(None)
    agreement.barrier()
    check_seen([folder])
    return folder


def _built(folder: Path, build: Callable[[Path], None]) -> Path:
    """Build by this process alone what is not there."""
    with _missing(folder) as missing:
        if missing:
            with _filled(folder) as unfinished:
                build(unfinished)
    return folder


@contextmanager
def _missing(folder: Path) -> Iterator[bool]:
    """Yield whether the folder must be built; we hold its lock within the block."""
    if folder.exists():
        with suppress(OSError):  # of another user, perhaps
            os.utime(folder)  # used now: unused folders may be pruned
        yield False
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cache: cannot write to {folder.parent} ({error.strerror}); set cache=DIR") from error
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        yield not folder.exists()


@contextmanager
def _filled(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill, which gets its name once everything is written; only for the holder of the lock."""
    _sweep(folder)
    with _temporary(folder) as unfinished:
        yield unfinished
        _sync(unfinished)
        unfinished.rename(folder)


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Let one run at a time fill a folder whose files are written atomically; the next one finds what it left.

    Every rank of a run asks; rank 0 has the lock for all of them. Notes that the folder was used now.

    Raises `ConfigError` where the folder cannot be written.
    """
    with ExitStack() as held:

        def lock() -> None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(folder.with_name(f"{folder.name}.lock")))
                os.utime(folder)
            except OSError as error:
                raise ConfigError(f"cache: cannot write to {folder} ({error.strerror}); set cache=DIR") from error

        agreement.first(lock)
        yield


def check_seen(paths: list[Path]) -> None:
    """Raise `ConfigError` for a file that another rank has written and this one does not see."""
    if missing := [path for path in paths if not path.exists()]:
        raise ConfigError(
            f"{missing[0]} was written by another rank but cannot be seen here; `cache` must be a folder that all ranks"
            " share"
        )


def hold(folder: Path, owner: str) -> None:
    """Note that `owner` may come back for this folder, which need not exist yet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        folder.with_name(f"{folder.name}{HELD}{owner}").touch()


def owner_name(run: Path) -> str:
    """Name a run in the cache by its folder."""
    return fingerprint(str(run))


def release(folder: Path, owner: str) -> None:
    """Take the note back, and remove the folder if nobody else has one."""
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        folder.with_name(f"{folder.name}{HELD}{owner}").unlink(missing_ok=True)
        if not list(folder.parent.glob(f"{folder.name}{HELD}*")) and folder.exists():
            gone = folder.with_name(f"{folder.name}{UNFINISHED}{uuid.uuid4().hex[:8]}")
            folder.rename(gone)  # at once, so that nobody finds half of it
            shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    unfinished = folder.with_name(f"{folder.name}{UNFINISHED}{uuid.uuid4().hex[:8]}")
    unfinished.mkdir()
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed builder left; we hold the lock, so nobody is writing there."""
    for left in folder.parent.glob(f"{folder.name}{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make the content durable before the name, or a power cut could leave a named folder of empty files."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
