"""Holding a file's lock, or saying at once who works there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hardneg.errors import UserError


@contextmanager
def locked(path: Path, refusal: Callable[[], UserError], patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file in this block; a kill releases it.

    Raises `refusal()` where another process still has it after `patience` seconds. A timeout of another lock, which
    the block itself waits for, is not taken for this one's.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise refusal() from error
    try:
        yield
    finally:
        lock.release()
