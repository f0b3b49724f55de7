"""A connection that a client cannot hold open without asking: what uvicorn leaves unlimited."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS = 65_536  # bytes of a request's headers


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol, with a time in which headers must come and an answer must be taken, and a size of headers.

    uvicorn closes connections that are silent after an answer; one that sends its headers byte by byte or for ever, or
    does not read, it would keep.
    """

    patience: ClassVar[float]

    _timer: asyncio.TimerHandle | None = None
    _headers: int | None = 0  # bytes that came of headers that are not complete; None where none are due

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._waited()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count headers; the last piece may be followed by a body, so it is what came before that must be small."""
        if self._headers is not None:
            if self._headers > HEADERS:
                self.transport.abort()
                return
            self._headers += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Another request on this connection."""
        super().on_message_begin()
        self._headers = 0
        self._wait()

    def on_headers_complete(self) -> None:
        """The headers are there; what follows is the application's time."""
        self._headers = None
        self._waited()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._waited()

    def _wait(self) -> None:
        self._waited()
        self._timer = self.loop.call_later(self.patience, self.transport.abort)

    def _waited(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def guarded(patience: float) -> type[Guarded]:
    """The protocol with this many seconds of patience."""
    return type("Guarded", (Guarded,), {"patience": patience})
