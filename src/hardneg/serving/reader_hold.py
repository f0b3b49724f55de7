"""A reader's hold on a build: a build that answers somebody is not removed, and a dead reader holds nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hardneg.errors import UserError

try:
    import fcntl
except ImportError:  # Windows removes no file that is open, and has no need of this
    fcntl = None  # type: ignore[assignment]


class Hold:
    """A shared lock on a build's manifest, which nobody rewrites; the right to read is enough.

    It ends with `release`, with the object, or with the process, however that ends. Raises `UserError` for a build that
    was removed.
    """

    def __init__(self, manifest: Path) -> None:
        self._handle = -1
        gone = UserError(f"{manifest.parent} was removed, or never finished; run hardneg index again")
        try:
            self._handle = os.open(manifest, os.O_RDONLY)
        except FileNotFoundError as error:
            raise gone from error
        if fcntl is not None:
            with suppress(OSError):  # on a file system without locks it holds nothing, and works all the same
                fcntl.flock(self._handle, fcntl.LOCK_SH)
        if not manifest.exists():  # it was removed while we waited
            self.release()
            raise gone

    def release(self) -> None:
        """Allow its removal."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        self.release()


@contextmanager
def unheld(manifest: Path) -> Iterator[bool]:
    """Yield whether nobody holds this; if so, nobody can within this block."""
    with manifest.open("r+") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:  # a file system without locks
                pass
        yield True
