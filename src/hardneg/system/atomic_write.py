"""Files that are complete or absent, whatever a kill or another process does meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path, alone: bool = False) -> Iterator[Path]:
    """Yield the path of a draft beside `path`, which durably replaces it in one rename when the block ends.

    The draft's name is unique, since threads, processes and ranks may be writing the same file; where one process
    writes `alone`, it is always the same, so that a killed process's draft is overwritten. After an exception the draft
    is removed and `path` is unchanged; raises `OSError` as writing does.
    """
    draft = path.with_name(f".{path.name}.draft" if alone else f".{path.name}.{uuid4().hex[:8]}.draft")
    try:
        yield draft
        handle = os.open(draft, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path, age: float) -> None:
    """Remove drafts in a folder that are `age` seconds old: of killed processes, as a living one takes milliseconds."""
    for draft in folder.glob(".*.draft"):
        with suppress(FileNotFoundError):  # it lived
            if time.time() - draft.stat().st_mtime > age:
                draft.unlink()
