"""hardneg search: search an index from the terminal."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from hardneg.errors import UserError
from hardneg.serving.http.limits import Limits, flag
from hardneg.serving.opening import check_there, index_arguments, opened
from hardneg.system.terminal_tables import console_at

if TYPE_CHECKING:
    from hardneg.serving.live_index import Answer

WIDE = 120  # columns where neither a terminal nor COLUMNS tells them
LEAST = 30  # columns of a text beside the id of its document, else it begins a line of its own
SHORTEST = 20  # columns of a text anywhere


def main(arguments: Sequence[str]) -> None:
    """Search the live index from the terminal."""
    parser = argparse.ArgumentParser(
        prog="hardneg search",
        description="Search an index made by hardneg index; the index is checked first, and refused if it is stale.",
        epilog='examples:\n  hardneg search my-index "how do I open a file"\n'
        '  hardneg search my-index "first" "second" -k 3 --ckpt-path RUN/checkpoints/best.ckpt',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    index_arguments(parser)
    parser.add_argument("queries", nargs="+", metavar="query", help="text to search for")
    most = Limits().max_k
    parser.add_argument("-k", type=int, default=10, help="how many documents to show (10)")
    parser.add_argument(flag("max_k"), type=int, default=most, help=f"highest allowed -k ({most}), as in serve")
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
    """Print one query's documents, a line each (rank, score, id, text), and the freshness.

    On a terminal a text begins a line of its own where ids are as long as paths, and the freshness is broken at words.
    """
    terminal, width = console_at(WIDE).is_terminal, shutil.get_terminal_size((WIDE, 24)).columns
    longest = max((len(hit.id) for hit in answer.hits), default=0)
    sys.stdout.write(f"{query}\n")
    for rank, hit in enumerate(answer.hits, start=1):
        before = f"{rank:>4}  {hit.score:.4f}  "
        if terminal and width - len(before) - longest - 2 < LEAST:
            sys.stdout.write(f"{before}{hit.id}\n")
            before = " " * len(before)
        else:
            before += f"{hit.id:<{longest}}  "
        text, room = " ".join(hit.text.split()), max(width - len(before), SHORTEST)
        sys.stdout.write(f"{before}{text if cell_len(text) <= room else set_cell_size(text, room - 3) + '...'}\n")
    said = answer.freshness
    if terminal:
        said = textwrap.fill(said, width, break_long_words=False, break_on_hyphens=False)
    sys.stdout.write(f"{said}\n\n")
