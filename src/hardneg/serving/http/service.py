"""What the endpoints do: ask the live index through the batcher, within limits, and report its state."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from hardneg.serving.http.batcher import Batcher, Failed, Full
from hardneg.serving.http.body import read_body
from hardneg.serving.http.limits import Limits
from hardneg.serving.http.question import question, reader
from hardneg.serving.http.watch import Watch
from hardneg.serving.live_index import Answer, LiveIndex

LISTEN = 0.1  # seconds between two looks at whether a waiting client is still connected
PROBE, LASTS = "the", 1.0  # the query of `health`, and for how many seconds its answer counts
GONE = 499, "the client has gone"  # nobody reads it
FAILED = "the search failed; the service's log says why"


class Service:
    """A live index behind endpoints; `lifespan` starts and ends its threads."""

    def __init__(self, live: LiveIndex, limits: Limits) -> None:
        self.limits = limits
        self.watch = Watch(live)
        self.batcher = Batcher(self.ask, limits.max_batch, limits.waiting)
        self.model = question(limits)
        self._read = reader(self.model)
        self._probe: asyncio.Future[Any] | None = None
        self._probed = 0.0

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Run the worker and the watch as long as the application."""
        self.batcher.start()
        self.watch.start()
        try:
            yield
        finally:
            self.watch.stop()
            self.batcher.stop()

    def ask(self, texts: Sequence[str], k: int) -> list[Answer]:
        """Answer with one build and one state, whatever is switched meanwhile; runs in the worker."""
        state = self.watch.state
        name, says = state.opened.build.name, state.says
        return [Answer(hits, name, says) for hits in state.opened.search(texts, k)]

    async def search(self, request: Request) -> Response:
        """Read the question and answer it in time."""
        until = time.monotonic() + self.limits.timeout
        try:
            async with asyncio.timeout(self.limits.timeout):
                body = await read_body(request, self.limits.max_body)
        except TimeoutError:
            raise HTTPException(408, "the body did not come in time", {"Connection": "close"}) from None
        except ClientDisconnect:
            raise HTTPException(*GONE) from None
        texts, k = self._read(body)
        self._check_fresh()
        try:
            future = self.batcher.submit(texts, k)
        except Full:
            raise HTTPException(503, "too many requests are waiting", {"Retry-After": "1"}) from None
        return _found(await self._in_time(future, until, request))

    async def _in_time(self, future: asyncio.Future[Any], until: float, request: Request) -> Any:
        """Wait for an answer; work that nobody waits for any longer leaves the queue, if it has not begun."""
        try:
            while (left := until - time.monotonic()) > 0:
                await asyncio.wait((future,), timeout=min(left, LISTEN))
                if future.done():
                    return future.result()
                if await request.is_disconnected():
                    raise HTTPException(*GONE)
        except Failed:
            raise HTTPException(500, FAILED) from None
        finally:
            future.cancel()
        raise HTTPException(504, f"no answer within {self.limits.timeout:g} s")

    def _check_fresh(self) -> None:
        if self.watch.refuses:
            raise HTTPException(503, f"the index must not answer: {self.watch.state.freshness}")

    async def health(self) -> Response:
        """Whether queries are answered now: a real one is asked through the same queue, at most once a second."""
        self._check_fresh()
        if self._probe is None or (self._probe.done() and time.monotonic() > self._probed + LASTS):
            self._probe, self._probed = self.batcher.submit([PROBE], 1, even_if_full=True), time.monotonic()
        probe = self._probe
        await asyncio.wait((probe,), timeout=self.limits.timeout)
        if not probe.done():
            raise HTTPException(503, f"no answer within {self.limits.timeout:g} s")
        if probe.exception() is not None:
            raise HTTPException(503, FAILED)
        state = self.watch.state
        return as_json({"status": "ok", "build": state.opened.build.name, "fresh": state.freshness.fresh})

    async def freshness(self) -> Response:
        """What was found when it was opened, or examined last; the command that mends it has paths, and is logged."""
        state = self.watch.state
        found = state.freshness
        created = datetime.fromisoformat(found.created)
        return as_json(
            {
                "fresh": found.fresh,
                "says": state.says,
                "build": found.build,
                "created": found.created,
                "age_seconds": round((datetime.now(UTC) - created).total_seconds()),
                "examined": datetime.fromtimestamp(state.examined, UTC).isoformat(timespec="seconds"),
                "behind": state.behind,
                "findings": [{"about": one.about, "fresh": one.fresh, "says": one.says} for one in found.findings],
            }
        )

    async def examine(self) -> Response:
        """Examine the open build again, at most once a minute, and report what is known then."""
        future = asyncio.wrap_future(self.watch.examine())
        try:
            await asyncio.wait_for(asyncio.shield(future), self.limits.timeout)
        except TimeoutError:
            raise HTTPException(504, "the examination goes on; GET /freshness has its findings later") from None
        except Exception:
            raise HTTPException(503, "the index could not be examined; the service's log says why") from None
        return await self.freshness()


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Write JSON; raises `ValueError` for a number that JSON cannot hold."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, headers, "application/json")


def _found(answers: list[Answer]) -> Response:
    """Write answers; they are ours, so nothing is validated."""
    hits = [{"hits": [{"id": hit.id, "score": hit.score, "text": hit.text} for hit in one.hits]} for one in answers]
    return as_json({"answers": hits, "build": answers[0].build, "freshness": answers[0].freshness})
