"""hardneg jobs: how far the jobs of a sweep are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hardneg.errors import UserError

EXAMPLES = """examples:
  hardneg jobs multirun/first            # also while it runs, from another terminal or machine
  watch -n 5 hardneg jobs multirun/first
"""


def main(arguments: Sequence[str]) -> None:
    """Print the jobs in or below a folder; exit with 1 if any failed.

    Raises `UserError` for a folder that does not exist or holds no job.
    """
    parser = argparse.ArgumentParser(
        prog="hardneg jobs",
        description="Show the progress of a sweep's jobs, from their folders; exits with 1 if any failed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", type=Path, help="a sweep's folder, such as multirun/..., or any folder with runs below it"
    )
    folder: Path = parser.parse_args(arguments).folder
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    from hardneg.sweep.jobs_table import rows, show

    found = rows(folder)
    if not found:
        raise UserError(f"{folder}: no job in or below it (a folder with status.json or .hydra/)")
    show(folder, found)
    sys.exit(int(any(row.state == "failed" for row in found)))
