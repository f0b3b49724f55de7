"""What is in the cache, layer by layer, and what of it is no longer used."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from hardneg.system.cache_folder import HELD, UNFINISHED

DAY = 24 * 3600
ABANDONED = DAY  # seconds after which a killed process's unfinished folder has no owner

# From cheap to expensive to make again.
LAYERS = {
    "data": "data sets as tables",
    "tokens": "texts as token ids",
    "vectors": "documents embedded by finished models",
    "measures": "what pair filters measured of pairs",
    "topics": "training queries in clusters",
    "pairs": "which pairs are trained on",
    "rankings": "what miners ranked, before filters",
    "stores": "mined lists, filtered and scored",
    "given": "given negatives with a teacher's scores",
    "baselines": "test queries ranked by BM25",
    "work": "what interrupted work goes on with",
}


@dataclass(frozen=True)
class CacheEntry:
    """One folder of a layer: the bytes of its files, without those shared with another one, and its last use.

    `holders` is how many runs may come back for it.
    """

    layer: str
    folder: Path
    size: int
    used: float
    holders: int

    @property
    def days(self) -> float:
        """Days since it was last used."""
        return (time.time() - self.used) / DAY


def entries(cache: Path) -> list[CacheEntry]:
    """Look at every folder of every layer; a file with several names (rankings and stores share some) counts once."""
    seen: set[tuple[int, int]] = set()
    found = []
    for layer in LAYERS:
        for folder in sorted((cache / layer).iterdir()) if (cache / layer).is_dir() else ():
            if not folder.is_dir() or UNFINISHED in folder.name:
                continue
            size = sum(_bytes(folder, seen))
            holders = len(list(folder.parent.glob(f"{folder.name}{HELD}*")))
            found.append(CacheEntry(layer, folder, size, folder.stat().st_mtime, holders))
    return found


def _bytes(folder: Path, seen: set[tuple[int, int]]) -> Iterator[int]:
    for path in folder.rglob("*"):
        facts = path.stat()
        if path.is_file() and (facts.st_dev, facts.st_ino) not in seen:
            seen.add((facts.st_dev, facts.st_ino))
            yield facts.st_size


def to_prune(found: Sequence[CacheEntry], layers: Sequence[str], days: float | int, held: bool) -> list[CacheEntry]:
    """Pick what was not used for this many days in these layers; folders that runs hold only with `held`."""
    return [entry for entry in found if entry.layer in layers and entry.days >= days and (held or not entry.holders)]


def prune(entry: CacheEntry) -> bool:
    """Remove a folder at once, with its notes; False where somebody is building it right now."""
    folder = entry.folder
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    try:
        gone = folder.with_name(f"{folder.name}{UNFINISHED}{uuid4().hex[:8]}")
        folder.rename(gone)  # at once, so that nobody finds half of it
        shutil.rmtree(gone, ignore_errors=True)
        for note in folder.parent.glob(f"{folder.name}{HELD}*"):
            note.unlink(missing_ok=True)
    finally:
        lock.release()
    return True


def left_over(cache: Path) -> list[Path]:
    """Name what killed processes were building or removing: a living builder writes at least once a day."""
    found = [path for layer in LAYERS for path in (cache / layer).glob(f"*{UNFINISHED}*") if path.is_dir()]
    return [path for path in found if time.time() - path.stat().st_mtime > ABANDONED]
