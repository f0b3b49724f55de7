"""hardneg search: search an index from the terminal."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hardneg.errors import UserError
from hardneg.serving.http.limits import Limits, flag
from hardneg.serving.opening import check_there, index_arguments, opened

if TYPE_CHECKING:
    from hardneg.serving.live_index import Answer


def main(arguments: Sequence[str]) -> None:
    """Search the live index from the terminal."""
    parser = argparse.ArgumentParser(
        prog="hardneg search",
        description="Search an index that hardneg index has made; it is checked first, and refused if it is stale.",
        epilog='examples:\n  hardneg search my-index "how do I open a file"\n'
        '  hardneg search my-index "first" "second" -k 3 --ckpt-path RUN/checkpoints/best.ckpt',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    index_arguments(parser)
    parser.add_argument("queries", nargs="+", metavar="query", help="what to look for")
    most = Limits().max_k
    parser.add_argument("-k", type=int, default=10, help="how many documents to show (10)")
    parser.add_argument(flag("max_k"), type=int, default=most, help=f"how many may be asked for ({most}), as in serve")
    given = parser.parse_args(arguments)
    limits = Limits(max_k=given.max_k)
    if not 1 <= given.k <= limits.max_k:
        raise UserError(
            f"-k {given.k}: must be from 1 to {limits.max_k}; {flag('max_k')} allows more, here and in serve"
        )
    if not all(query.strip() for query in given.queries):
        raise UserError("a query is empty; give a text to look for")
    check_there(given)
    live = opened(given)
    try:
        for query, answer in zip(given.queries, live.search(given.queries, given.k), strict=True):
            show(query, answer)
    finally:
        live.close()


def show(query: str, answer: Answer) -> None:
    """Print one query's documents, a line each (rank, score, id, text), and the freshness."""
    width = shutil.get_terminal_size((120, 24)).columns
    longest = max((len(hit.id) for hit in answer.hits), default=0)
    sys.stdout.write(f"{query}\n")
    for rank, hit in enumerate(answer.hits, start=1):
        before = f"{rank:>4}  {hit.score:.4f}  {hit.id:<{longest}}  "
        text = " ".join(hit.text.split())
        room = max(width - len(before), 20)
        sys.stdout.write(f"{before}{text if len(text) <= room else text[: room - 3] + '...'}\n")
    sys.stdout.write(f"{answer.freshness}\n\n")
