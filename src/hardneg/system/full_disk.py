"""A disk that is full, in plain words: which one, and what to do."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LITTLE = 1024**2  # bytes; with fewer nothing can be written that we write


def no_room(error: BaseException, folders: Mapping[str, str | Path | None]) -> str | None:
    """Say which of these folders, by what they are called, has no room left; None where that was not the error.

    Not every library says why it could not write (torch does not), so a full disk counts, too.
    """
    free = {}
    for name, folder in folders.items():
        with suppress(OSError):
            if folder is not None:
                free[f"{name} {folder}"] = shutil.disk_usage(folder).free
    full = [where for where, room in free.items() if room < LITTLE]
    told = getattr(error, "errno", None) in NO_ROOM or "No space left on device" in str(error)
    if not told and not (full and isinstance(error, OSError | RuntimeError)):
        return None
    where = " and ".join(full) or "; ".join(f"{name}: {room / 1024**3:.1f} GiB free" for name, room in free.items())
    return (
        f"no room left on the disk ({where}): {error or type(error).__name__}; free some (hardneg cache says what lies"
        " there, hardneg cache prune removes what nobody uses), or set cache=DIR or paths.output_dir=DIR; the same"
        " command, or hardneg resume, goes on with what is complete"
    )
