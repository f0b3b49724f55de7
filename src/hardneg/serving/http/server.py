"""The process that answers: its socket, its signals, and uvicorn as we want it."""

from __future__ import annotations

import gc
import logging
import signal
import socket

import uvicorn

from hardneg.errors import UserError
from hardneg.serving.http.app import app
from hardneg.serving.http.connection import guarded
from hardneg.serving.http.limits import Limits
from hardneg.serving.live_index import LiveIndex
from hardneg.system import allocator

log = logging.getLogger(__name__)


def bound(host: str, port: int) -> socket.socket:
    """Take the port before the model is loaded; connections are accepted once it is.

    Raises `UserError` where the port cannot be had.
    """
    try:
        if not 0 <= port < 65_536:  # the resolver takes a port modulo that
            raise OSError("ports are 0 to 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        raise UserError(f"cannot listen on --host={host} --port={port}: {error}; take others") from error
    return taken


def address(place: socket.socket) -> str:
    """The address that it answers at, as a client writes it."""
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(live: LiveIndex, limits: Limits, place: socket.socket, what: str) -> None:
    """Answer until SIGTERM or Ctrl-C; `what` is what the log calls it."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            log.info("serving %s; %s", what, live.freshness)

    config = uvicorn.Config(
        app(live, limits),
        http=guarded(limits.timeout),
        loop="asyncio",  # the same everywhere; the loop is not what takes the time
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.timeout) + 1,
    )
    # uvicorn shuts down in order and then raises the signal again, for earlier handlers: having stopped is no error.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    # A full collection walks all that torch and the model's library have made, 160 ms in which nobody is answered: what
    # exists now stays, and need not be looked at again.
    gc.collect()
    gc.freeze()
    allocator.give_back()  # memory that reading the checkpoint and the checks took
    Server(config).run([place])
    log.info("stopped")
