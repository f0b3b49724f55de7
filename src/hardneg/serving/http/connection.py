"""A connection that a client cannot hold open without asking: what uvicorn leaves unlimited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEADERS = 65_536  # bytes of a request's headers
LINGER = 4  # so many times that is read, and thrown away: a client that is still sending would not see the answer


class Timer:
    """Calls a function unless it is stopped in time; started again, it begins anew."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], None]) -> None:
        """Call it after this many seconds."""
        self.stop()
        self._handle = loop.call_later(seconds, then)

    def stop(self) -> None:
        """Do not call it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol, with a time limit for headers to come and for an answer to be read, and a size of headers.

    uvicorn closes connections that are silent after an answer, but would keep one that sends its headers byte by byte
    or for ever, or does not read. Refusals here have the form of the application's.
    """

    patience: ClassVar[float]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        self._asking, self._taking = Timer(), Timer()  # for headers to come, and for an answer to be read
        self._headers: int | None = 0  # bytes of incomplete headers so far; None where none are due
        self._refused = False
        super().connection_made(transport)
        self._wait(self._asking)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._asking.stop()
        self._taking.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the headers' bytes; a body may follow in the last piece, so what came before it must be small."""
        if self._headers is not None:
            if self._headers > HEADERS:
                self._too_large(self._headers)
                self._headers += len(data)
                return
            self._headers += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Another request on this connection."""
        super().on_message_begin()
        self._headers = 0
        self._wait(self._asking)

    def on_headers_complete(self) -> None:
        """The headers are there; what follows is the application's time."""
        self._headers = None
        self._asking.stop()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._wait(self._taking)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._taking.stop()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, "this is not a valid HTTP request")
        self.transport.close()

    def _too_large(self, size: int) -> None:
        """Answer once, and read on for a while, until time or size runs out."""
        answering = self.cycle is not None and not self.cycle.response_complete  # an earlier request: not between
        if answering or size > LINGER * HEADERS:
            self.transport.abort()
        elif not self._refused:
            self._refused = True
            self._refuse(431, f"the headers have more than {HEADERS} bytes")
            self.transport.write_eof()

    def _refuse(self, status: int, why: str) -> None:
        body = json.dumps({"error": why}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)

    def _wait(self, timer: Timer) -> None:
        timer.start(self.loop, self.patience, self.transport.abort)


def guarded(patience: float) -> type[Guarded]:
    """The protocol with this many seconds of patience."""
    return type("Guarded", (Guarded,), {"patience": patience})
