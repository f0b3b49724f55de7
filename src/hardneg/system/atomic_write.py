"""Files that are whole or not there, whatever a kill or another process does in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path, alone: bool = False) -> Iterator[Path]:
    """Give the path of a draft beside `path`, which takes its place in one rename, durably, when the block has ended.

    Its name is of its own, since threads, processes and ranks may be writing the same file; where one process writes
    `alone`, it is always the same, so that what a kill left is overwritten. After an exception the draft is removed and
    `path` is as it was; raises `OSError` as writing does.
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
