"""Watching the live index: switches are followed in the background, and the open build is examined again on request."""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

from hardneg.serving.freshness import Freshness
from hardneg.serving.live_index import BEHIND, LiveIndex
from hardneg.serving.opened_build import OpenedBuild
from hardneg.system import allocator

log = logging.getLogger(__name__)

EVERY = 0.5  # seconds between two looks at the pointer, each of which costs microseconds
COOLING = 60.0  # seconds within which an index is not examined again, however often that is requested
TIDY = 20.0  # seconds between two returns of freed memory


@dataclass(frozen=True)
class State:
    """The build that answers, what is known of its freshness, and when (a `time.time`) that was found."""

    opened: OpenedBuild
    freshness: Freshness
    examined: float
    behind: bool

    @property
    def says(self) -> str:
        """The freshness in one line, for each answer."""
        behind = f"; {BEHIND}" if self.behind else ""  # why is in the log, not for strangers
        return f"{self.freshness}{behind}"


class Watch:
    """A thread that follows switches and examines; opening a build takes seconds, in which the old one goes on."""

    def __init__(self, live: LiveIndex) -> None:
        self.live = live
        self._wake, self._ending = threading.Event(), False
        self._asked: Future[None] | None = None
        self._tried = self._tidied = -math.inf
        self.state = State(live.opened, live.freshness, time.time(), live.behind)

    def start(self) -> None:
        """Start the thread; a daemon, so that a build that does not open does not keep the process."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end."""
        self._ending = True
        self._wake.set()

    @property
    def refuses(self) -> bool:
        """Whether the index was found stale since it was opened, and must not answer."""
        return not (self.state.freshness.fresh or self.live.allow_stale)

    def examine(self) -> Future[None]:
        """Ask for an examination; done at once where the last one is less than a minute old."""
        asked = self._asked  # read once: the thread takes it away when it is done
        if asked is None:
            asked = Future()
            if time.monotonic() < self._tried + COOLING:
                asked.set_result(None)
                return asked
            self._asked = asked
            self._wake.set()
        return asked

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(EVERY)
            self._wake.clear()
            try:
                self._follow()
            except OSError as error:  # a folder that cannot be read for a while, on a network's disk
                log.warning("the index's folder could not be read: %s", error)
            if self._asked is not None:
                self._examine(self._asked)
            if time.monotonic() > self._tidied + TIDY:
                # Batches differ in size: gaps that they leave between blocks in use would add up; so would builds.
                allocator.give_back()
                self._tidied = time.monotonic()

    def _follow(self) -> None:
        self.live.follow()
        opened, behind = self.live.opened, self.live.behind
        if opened is not self.state.opened:
            self.state = State(opened, opened.freshness, time.time(), behind)
            log.info("now answering: %s", self.state.says)
        elif behind != self.state.behind:
            self.state = State(opened, self.state.freshness, self.state.examined, behind)

    def _examine(self, waiting: Future[None]) -> None:
        self._tried = time.monotonic()
        try:
            freshness = self.state.opened.examine()
            self.state = State(self.state.opened, freshness, time.time(), self.state.behind)
            if freshness.fresh:
                log.info("%s", freshness)
            else:
                log.warning("%s. To repair it: %s", freshness, freshness.mend)
        except Exception as error:  # whatever a backend raises, the service goes on with what was known
            log.error("the index could not be examined", exc_info=error)
            self._asked = None
            waiting.set_exception(error)
        else:
            self._asked = None
            waiting.set_result(None)
