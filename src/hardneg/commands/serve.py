"""hardneg serve: the live index as an HTTP service."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec

from hardneg.errors import UserError
from hardneg.serving.http.limits import Limits, flag
from hardneg.serving.opening import check_there, index_arguments, opened

log = logging.getLogger(__name__)

EXAMPLES = """examples:
  hardneg serve my-index
  hardneg serve my-index --host 0.0.0.0 --port 80 --max-batch 64 --timeout 2
  curl localhost:8000/search -H 'Content-Type: application/json' -d '{"query": "open a file", "k": 3}'
  curl localhost:8000/health; curl localhost:8000/freshness; curl -X POST localhost:8000/freshness   # check it again

The service follows a switch of the index (hardneg index switch) within a second. On SIGTERM it answers open requests
and ends. One process holds one copy of model and index; for more, start several behind a proxy, which can also handle
TLS and passwords.
"""
HELP = {
    "max_batch": "queries embedded and searched together",
    "timeout": "seconds to read and answer a request",
    "waiting": "requests that may wait; more are refused with 503",
    "max_queries": "most queries in a request",
    "max_chars": "most characters in a query",
    "max_k": "most documents per query",
}


def main(arguments: Sequence[str]) -> None:
    """Open the index, check it, and answer until SIGTERM or Ctrl-C."""
    given = _parser().parse_args(arguments)
    limits = Limits(**{one.name: getattr(given, one.name) for one in fields(Limits)})
    if missing := [name for name in ("fastapi", "uvicorn", "httptools") if find_spec(name) is None]:
        raise UserError(f"hardneg serve needs {', '.join(missing)}: pip install 'hardneg[serve]'")
    check_there(given)
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below that it logs what strangers send
    from hardneg.serving.http.server import address, bound, serve

    with bound(given.host, given.port) as place:
        live = opened(given)
        try:
            serve(live, limits, place, f"{given.index} on {address(place)}")
        finally:
            live.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg serve",
        description="Answer searches over HTTP from an index made by hardneg index; the index is checked first, and"
        " refused if it is stale.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    index_arguments(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 picks a free one (8000)")
    for one in fields(Limits):
        kind = float if isinstance(one.default, float) else int
        parser.add_argument(flag(one.name), type=kind, default=one.default, help=f"{HELP[one.name]} ({one.default})")
    return parser
