"""The signals that ask a process to stop, handled by one function within a block."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopping_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have SIGTERM and Ctrl-C call `handle`, with their number; afterwards they do what they did before."""
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
