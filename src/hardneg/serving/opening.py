"""The arguments of a command line that say which index is opened, and how."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hardneg.errors import UserError

if TYPE_CHECKING:
    from hardneg.serving.live_index import LiveIndex


def index_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which index is opened, and how."""
    parser.add_argument("index", type=Path, help="folder of the index")
    parser.add_argument("--ckpt-path", type=Path, help="model for the queries (default: the one that the index names)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (auto)")
    parser.add_argument("--precision", default="auto", help="32-true, bf16-mixed, ... (auto: what suits the device)")
    parser.add_argument("--allow-stale", action="store_true", help="answer even if the index is stale")


def check_there(given: argparse.Namespace) -> None:
    """Raise `UserError` for a missing index or checkpoint, before the modules that open them are loaded."""
    from hardneg.serving.index_folder import IndexFolder

    IndexFolder(given.index).live()
    if given.ckpt_path is not None and not given.ckpt_path.is_file():
        raise UserError(f"--ckpt-path {given.ckpt_path}: no such file")


def opened(given: argparse.Namespace) -> LiveIndex:
    """Open the index that these arguments name; raises `StaleIndex` for a stale one unless that is allowed."""
    from hardneg.serving.live_index import LiveIndex

    return LiveIndex(given.index, given.ckpt_path, given.device, given.precision, allow_stale=given.allow_stale)
