"""The arguments that `hardneg compare` and `hardneg ab` share: what a tie is, and which queries count as one."""

from __future__ import annotations

import argparse
from pathlib import Path


def query_arguments(parser: argparse.ArgumentParser, shared: str) -> None:
    """Add them; `shared` is what queries of one cluster have in common, as this command calls it."""
    parser.add_argument(
        "--tie",
        type=float,
        default=0.01,
        help="a query whose difference is at most this is a tie (default: %(default)s)",
    )
    unit = parser.add_mutually_exclusive_group()
    unit.add_argument(
        "--cluster",
        type=Path,
        metavar="FILE",
        help="clusters of queries: query id and cluster, tab-separated, .csv or .json",
    )
    unit.add_argument(
        "--cluster-positives", action="store_true", help=f"put queries that share a {shared} in one cluster"
    )
