"""A search's hold on its folder, and the name by which it knows its own trials in a database that others share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from hardneg.errors import ConfigError
from hardneg.system.atomic_write import atomic_write
from hardneg.system.file_lock import locked

NAME, LOCK = ".search", ".search.lock"


@contextmanager
def held(folder: Path) -> Iterator[str]:
    """Hold the folder of a search, and yield its name, which is made up at its first start.

    A kill releases it: trials of this name that are open when it begins are those that it had left. Raises
    `ConfigError` where another process has it.
    """
    at_work = ConfigError(
        f"{folder}: a search is at work here; wait for its end, or stop it (hydra.sweeper.n_jobs=2"
        " hydra/launcher=processes runs two trials at a time)"
    )
    with locked(folder / LOCK, lambda: at_work):
        if not (folder / NAME).exists():
            with atomic_write(folder / NAME) as draft:
                draft.write_text(uuid4().hex, encoding="utf-8")
        yield (folder / NAME).read_text(encoding="utf-8")
