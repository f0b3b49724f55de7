"""hardneg cache: what is in the cache that all runs share, and removing what is no longer used."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from hardneg.errors import UserError
from hardneg.system import cache_layers
from hardneg.system.cache_folder import cache_folder
from hardneg.system.cache_layers import LAYERS
from hardneg.system.counts_in_words import counted

EXAMPLES = """examples:
  hardneg cache                                      # what it holds, layer by layer
  hardneg cache prune --dry-run                      # what has not been used for 30 days, without removing it
  hardneg cache prune --unused 7 --layer vectors     # vectors that have not been used for a week
  hardneg cache prune --unused 0 --held              # everything, also what interrupted runs need to resume
"""


def main(arguments: Sequence[str]) -> None:
    """Show the layers of the cache, or remove what was not used; raises `UserError` where there is no cache."""
    parser = argparse.ArgumentParser(
        prog="hardneg cache",
        description="Show what is in the shared cache, with sizes, or remove what has not been used for a while.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", choices=["show", "prune"], default="show")
    parser.add_argument("--folder", type=Path, help="the cache (default: HARDNEG_CACHE, or ~/.cache/hardneg)")
    parser.add_argument(
        "--unused",
        type=float,
        default=30.0,
        metavar="DAYS",
        help="prune: remove what was not used for this many days (default: %(default)s)",
    )
    parser.add_argument("--layer", action="append", metavar="NAME", help="prune: only this layer; may be repeated")
    parser.add_argument("--held", action="store_true", help="prune: also what runs hold, which then cannot be resumed")
    parser.add_argument("--dry-run", action="store_true", help="prune: only show what would be removed")
    options = parser.parse_args(arguments)
    folder: Path = (options.folder or cache_folder()).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no cache yet; the first run creates it")
    if unknown := set(options.layer or ()) - set(LAYERS):
        raise UserError(f"--layer {', '.join(sorted(unknown))}: the layers are {', '.join(LAYERS)}")
    if not options.unused >= 0:  # also of nan
        raise UserError(f"--unused {options.unused:g}: must be 0 days or more")
    if options.action == "show":
        show(folder)
    else:
        prune(folder, options.layer or list(LAYERS), options.unused, options.held, options.dry_run)


def show(folder: Path) -> None:
    """Print a table with a line a layer."""
    from rich.console import Console

    from hardneg.system.terminal_tables import laid_out

    found = cache_layers.entries(folder)
    rows = []
    for layer, what in LAYERS.items():
        here = [entry for entry in found if entry.layer == layer]
        held = [entry for entry in here if entry.holders]
        old = cache_layers.to_prune(here, [layer], 30, held=False)
        sizes = (in_words(sum(entry.size for entry in part)) if part else "-" for part in (here, held, old))
        rows.append([layer, str(len(here)), *sizes, what])
    console = Console()
    console.print(
        f"{folder}: {in_words(sum(entry.size for entry in found))}, {in_words(shutil.disk_usage(folder).free)} free"
    )
    headings = ["layer", "folders", "size", "held", "unused", "what it is"]
    for table in laid_out(headings, rows, console.width, words=(5,), box=None, pad_edge=False):
        console.print(table)
    console.print("held: needed by runs that may be resumed; unused: what `hardneg cache prune` removes")


def prune(folder: Path, layers: Sequence[str], days: float, held: bool, dry_run: bool) -> None:
    """Remove what was not used for this many days, and log it."""
    from rich.console import Console

    console = Console()
    total = 0
    for entry in cache_layers.to_prune(cache_layers.entries(folder), layers, days, held):
        done = dry_run or cache_layers.prune(entry)
        what = "would remove" if dry_run else "removed" if done else "kept (being built now)"
        unused = counted(round(entry.days), "day")
        console.print(f"{what} {entry.layer}/{entry.folder.name}: {in_words(entry.size)}, unused for {unused}")
        total += entry.size if done else 0
    for path in cache_layers.left_over(folder):
        console.print(
            f"{'would remove' if dry_run else 'removed'} {path.parent.name}/{path.name}: left by a killed process"
        )
        if not dry_run:
            shutil.rmtree(path, ignore_errors=True)
    console.print(f"{'would free' if dry_run else 'freed'} {in_words(total)}")


def in_words(size: float | int) -> str:
    """Write bytes with the unit that suits them: 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
