"""hardneg serve: the live index as an HTTP service."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import socket
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec

from hardneg import allocator
from hardneg.errors import UserError
from hardneg.serving.command import index_arguments, opened
from hardneg.serving.http.limits import Limits, flag
from hardneg.serving.live import LiveIndex

log = logging.getLogger(__name__)

EXAMPLES = """examples:
  hardneg serve my-index
  hardneg serve my-index --host 0.0.0.0 --port 80 --max-batch 64 --timeout 2
  curl localhost:8000/search -H 'Content-Type: application/json' -d '{"query": "open a file", "k": 3}'
  curl localhost:8000/health; curl localhost:8000/freshness; curl -X POST localhost:8000/freshness   # examine it anew

A switch of the index (hardneg index switch) is followed within a second. SIGTERM ends the service once what is asked
is answered. One process holds one copy of model and index; for more, start several behind a proxy, which is also the
place for TLS and passwords.
"""
HELP = {
    "max_batch": "queries embedded and searched together",
    "timeout": "seconds in which a request is read and answered",
    "waiting": "requests that may wait; further ones are refused with 503",
    "max_queries": "queries in a request",
    "max_chars": "characters of a query",
    "max_k": "documents that may be asked for",
}


def main(arguments: Sequence[str]) -> None:
    """Open the index, check it, and answer until SIGTERM or Ctrl-C."""
    given = _parser().parse_args(arguments)
    limits = Limits(**{one.name: getattr(given, one.name) for one in fields(Limits)})
    if missing := [name for name in ("fastapi", "uvicorn", "httptools") if find_spec(name) is None]:
        raise UserError(f"hardneg serve needs {', '.join(missing)}: pip install 'hardneg[serve]'")
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below it speaks of what strangers send
    with _bound(given.host, given.port) as place:
        live = opened(given)
        try:
            _serve(live, limits, place, f"{given.index} on {_address(place)}")
        finally:
            live.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg serve",
        description="Answer searches over HTTP from an index that hardneg index has made; it is checked first, and"
        " refused if it is stale.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    index_arguments(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (8000)")
    for one in fields(Limits):
        kind = float if isinstance(one.default, float) else int
        parser.add_argument(flag(one.name), type=kind, default=one.default, help=f"{HELP[one.name]} ({one.default})")
    return parser


def _bound(host: str, port: int) -> socket.socket:
    """Take the port before the model is loaded; it is listened on when the model is there."""
    try:
        if not 0 <= port < 65_536:  # the resolver takes it modulo that
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


def _address(place: socket.socket) -> str:
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _serve(live: LiveIndex, limits: Limits, place: socket.socket, what: str) -> None:
    import uvicorn

    from hardneg.serving.http.app import app
    from hardneg.serving.http.connection import guarded

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
    # uvicorn ends in order and then raises the signal again, for those who had a handler: to have stopped is no error.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    # A full collection walks all that torch and the model's library have made, 160 ms in which nobody is answered: what
    # is here now stays, and need not be looked at again.
    gc.collect()
    gc.freeze()
    allocator.give_back()  # what reading the checkpoint and the checks took
    Server(config).run([place])
    log.info("stopped")
