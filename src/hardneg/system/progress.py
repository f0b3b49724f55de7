"""How far long work is: a bar that moves on a terminal, and a line every minute in logs and pipes."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between two lines where no bar can be seen

T = TypeVar("T")


class Progress:
    """Counts what is done of some work; shows nothing by itself (see `progress`)."""

    def __init__(self, total: int | None, what: str, unit: str = "") -> None:
        self.total, self.what, self.unit = total, what, unit
        self.done, self.skipped = 0, 0
        self.started = time.monotonic()

    def update(self, count: int = 1) -> None:
        """Count `count` more as done."""
        self.done += count

    def skip(self, count: int) -> None:
        """Count these as done by an earlier attempt: they say nothing of how fast this one is."""
        self.skipped += count

    @property
    def place(self) -> int:
        """How many are done, by whatever attempt."""
        return self.done + self.skipped

    def __str__(self) -> str:
        """Say how far it is and how long the rest will take, as in "mine: 512 of 2,048 (25%) in 1:40, 5:00 left"."""
        place, seconds = self.place, time.monotonic() - self.started
        unit = f" {self.unit}" if self.unit else ""
        if self.total is None:
            return f"{self.what}: {place:,}{unit} in {clock(seconds)}"
        left = f"{clock(seconds / self.done * max(self.total - place, 0))} left" if self.done else "time left unknown"
        share = place / self.total if self.total else 1.0
        return f"{self.what}: {place:,} of {self.total:,}{unit} ({share:.0%}) in {clock(seconds)}, {left}"


class _Bar(Progress):
    """One that moves on a terminal."""

    def __init__(self, total: int | None, what: str, unit: str, bar: tqdm) -> None:
        super().__init__(total, what, unit)
        self.bar = bar

    def update(self, count: int = 1) -> None:
        super().update(count)
        self.bar.update(count)

    def skip(self, count: int) -> None:
        super().skip(count)
        self.bar.initial += count  # which tqdm leaves out of its rate
        self.bar.update(count)


@contextmanager
def progress(total: int | None, what: str, unit: str = "") -> Iterator[Progress]:
    """Show how far some work is while the block runs, from the first rank on this machine.

    `what` is the work in a word or two, `unit` what is counted, in the plural; `total` None where nobody knows it.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        yield Progress(total, what, unit)
    elif _last_line_is_free():
        with tqdm(total=total, desc=what, unit=f" {unit or 'it'}", leave=False) as bar:
            yield _Bar(total, what, unit, bar)
    else:
        counted = Progress(total, what, unit)
        with _telling(counted):
            yield counted


def _last_line_is_free() -> bool:
    """Whether a bar can move on a terminal: beside rich's, as in training, each of its states would be a line."""
    from rich.file_proxy import FileProxy  # slow to import, and commands start without it

    return sys.stderr.isatty() and not isinstance(sys.stderr, FileProxy)


@contextmanager
def notebook_progress(total: int, what: str, unit: str) -> Iterator[Progress]:
    """Show it as a line of text in a notebook's output, where it stays, unless it is over within a second."""
    with tqdm(total=total, desc=what, unit=f" {unit}", leave=False, delay=1.0, file=sys.stdout) as bar:
        yield _Bar(total, what, unit, bar)


def silent() -> Progress:
    """Count without showing: for work of a moment, done by what can also be long."""
    return Progress(None, "")


def track(items: Iterable[T], what: str, unit: str = "") -> Iterator[T]:
    """Yield the items and show how far they are."""
    with progress(len(items) if isinstance(items, Sized) else None, what, unit) as counted:
        for item in items:
            yield item
            counted.update()


@contextmanager
def _telling(counted: Progress) -> Iterator[None]:
    """Log it every minute until all is done, also while nothing moves: from a thread, as one step may take longer.

    What goes on within the block after the last of it, such as a run's last evaluation, tells of itself.
    """
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(EVERY):
            if counted.total is None or counted.place < counted.total:
                log.info("%s", counted)

    thread = threading.Thread(target=tell, name=f"progress of {counted.what}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any: 5:03, 1:00:07."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
