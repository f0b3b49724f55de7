"""A disk that is full, in plain words: which one, and what to do."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SAID = re.compile(
    r"No space left on device"
    r"|\d+ requested and \d+ written"  # numpy, without a number
    r"|PytorchStreamWriter failed writing|unexpected pos \d+ vs \d+"  # torch, by what it met first
    r"|No usable temporary directory"  # Python, which tries whether it can write there
)
TEMPORARY, CURRENT = "temporary folder", "current folder"
OFTEN_FULL = (TEMPORARY, CURRENT)  # by what others write, or as read-only disks are: no reason for an error of ours
OWN_WORDS = "cache=DIR or paths.output_dir=DIR"
LITTLE = 1024**2  # bytes; with fewer nothing can be written that we write


def no_room(error: BaseException, folders: Mapping[str, str | Path | None]) -> str | None:
    """Say which of these folders, by what they are called, has no room left; None where that was not the error.

    Not every library says why it could not write (torch does not), so a full cache or run folder counts, too; not for
    a file that is not there, nor for a device without memory. A folder of a file system without a size, as /proc, is
    never full.
    """
    free: dict[str, int] = {}
    for name, folder in folders.items():
        with suppress(OSError):
            if folder is not None:
                usage = shutil.disk_usage(folder)
                free |= {name: usage.free} if usage.total > 0 else {}
    full = [name for name, room in free.items() if room < LITTLE]
    told = getattr(error, "errno", None) in NO_ROOM or SAID.search(str(error)) is not None
    suspect = set(full) - set(OFTEN_FULL)
    if not told and not (suspect and _may_be_of_writing(error)):
        return None
    log.debug("what could not be written", exc_info=error)
    where = " and ".join(f"{name} {folders[name]}" for name in full) or "; ".join(
        f"{name} {folders[name]}: {room / 1024**3:.1f} GiB free" for name, room in free.items()
    )
    elsewhere = "TMPDIR=DIR in the environment" if full == [TEMPORARY] else OWN_WORDS
    return (
        f"no room left on the disk ({where}): {error or type(error).__name__}; free some (hardneg cache says what lies"
        f" there, hardneg cache prune removes what nobody uses), or set {elsewhere}; the same"
        " command, or hardneg resume, goes on with what is complete"
    )


def temporary_folder() -> str:
    """Where libraries put what they need for a while; `tempfile` says so only where there is room."""
    return next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), "/tmp")


def _may_be_of_writing(error: BaseException) -> bool:
    no_memory = "out of memory" in str(error)  # torch.OutOfMemoryError is a RuntimeError
    if isinstance(error, FileNotFoundError) or no_memory:
        return False
    return isinstance(error, OSError | RuntimeError)
