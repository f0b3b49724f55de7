"""Where the cache is, and how its folders are named; imports nothing heavy."""

from __future__ import annotations

from os import environ
from pathlib import Path

HELD = ".held-"  # NAME.held-OWNER: a note that a run may come back for the folder NAME
UNFINISHED = ".tmp-"  # NAME.tmp-XXXX: what is being built, or removed
HANDED_IN = "handed_in"  # the folder of data that were handed in from Python, each below a name of its own


def cache_folder() -> Path:
    """Return the cache that runs share unless they say otherwise: HARDNEG_CACHE, or `hardneg` where caches belong."""
    if chosen := environ.get("HARDNEG_CACHE"):
        return Path(chosen).expanduser()
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hardneg"
