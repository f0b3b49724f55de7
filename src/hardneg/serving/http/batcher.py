"""Micro-batches: what came in while the worker was busy is embedded and searched together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

from hardneg.errors import UserError

log = logging.getLogger(__name__)


class Full(Exception):
    """The queue is full."""


class Failed(Exception):
    """A search failed; the log says why."""


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """The queries of one request; nobody waits for it any more once the future is cancelled."""

    texts: Sequence[str]
    k: int
    future: asyncio.Future[list[Any]]


class Batcher:
    """One worker thread that answers jobs, oldest first, as many together as there are.

    An idle worker takes a job at once, and while it is busy the next batch gathers by itself; waiting for more requests
    was measured, and does not pay (experiments/bench).

    Jobs of one batch have the same `k`, so that no answer depends on how much another request asks for. A batch that
    fails is asked again job by job, and only a job that fails by itself gets the error. `ask` turns texts and `k` into
    an answer for each text. All methods belong to the thread of the event loop.
    """

    def __init__(self, ask: Callable[[list[str], int], list[Any]], max_batch: int, waiting: int) -> None:
        self.ask, self.max_batch, self.waiting = ask, max_batch, waiting
        self._inbox: SimpleQueue[SearchRequest | None] = SimpleQueue()
        self._came = self._went = 0  # one writer each: the loop and the worker
        # What follows is the worker's own.
        self._held: deque[SearchRequest] = deque()
        self._ending = False

    def start(self) -> None:
        """Start the worker; it is a daemon, so that a search that hangs does not keep the process."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, name="search", daemon=True).start()

    def stop(self) -> None:
        """Let the worker end once it has answered what came in."""
        self._inbox.put(None)

    def submit(self, texts: Sequence[str], k: int, even_if_full: bool = False) -> asyncio.Future[list[Any]]:
        """Put queries into the queue; raises `Full`. A cancelled future is not worked on, if it has not begun."""
        if self._came - self._went >= self.waiting and not even_if_full:
            raise Full
        job = SearchRequest(texts, k, self._loop.create_future())
        self._came += 1
        self._inbox.put(job)
        return job.future

    def _work(self) -> None:
        while self._gather():
            if batch := self._batch():
                answers = self._answers(batch)
                with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                    self._loop.call_soon_threadsafe(_deliver, batch, answers)

    def _gather(self) -> bool:
        """Take in what has come, waiting where there is nothing to do; False at the end."""
        if not self._held and not self._ending:
            self._hold(self._inbox.get())
        with contextlib.suppress(Empty):
            while True:
                self._hold(self._inbox.get_nowait())
        return bool(self._held) or not self._ending

    def _hold(self, job: SearchRequest | None) -> None:
        if job is None:
            self._ending = True
        else:
            self._held.append(job)

    def _batch(self) -> list[SearchRequest]:
        """Take the oldest job and those with the same `k` that fit; drop those that nobody waits for."""
        batch: list[SearchRequest] = []
        left: deque[SearchRequest] = deque()
        room = self.max_batch
        for job in self._held:
            if job.future.cancelled():
                self._went += 1
            elif len(job.texts) <= room and (not batch or job.k == batch[0].k):
                batch.append(job)
                room -= len(job.texts)
                self._went += 1
            else:
                left.append(job)
        self._held = left
        return batch

    def _answers(self, batch: list[SearchRequest]) -> list[list[Any] | BaseException]:
        try:
            found = iter(self.ask([text for job in batch for text in job.texts], batch[0].k))
            return [list(islice(found, len(job.texts))) for job in batch]
        except BaseException as error:  # a panic in a tokenizer is no Exception, and must not end the worker
            if len(batch) == 1:
                if isinstance(error, UserError):  # it says all, as while a database is down: no stack for each request
                    log.error("a search failed: %s", error)
                else:
                    log.error("a search failed", exc_info=error)
                return [error]
        return [Failed() if job.future.cancelled() else self._answers([job])[0] for job in batch]


def _deliver(batch: list[SearchRequest], answers: list[list[Any] | BaseException]) -> None:
    for job, answer in zip(batch, answers, strict=True):
        if job.future.done():  # cancelled meanwhile
            continue
        if isinstance(answer, BaseException):
            job.future.set_exception(Failed())
        else:
            job.future.set_result(answer)
