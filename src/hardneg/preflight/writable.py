"""Whether a folder can be written, looked at without making it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hardneg.errors import ConfigError


def check_writable(folder: str | Path, key: str) -> None:
    """Raise `ConfigError`, naming the config's key, for a folder that can be neither written to nor made.

    So for one that begins with ~, which a shell would have expanded: it would be made here, by that name.
    """
    if str(folder).startswith("~"):
        raise ConfigError(f"{key}={folder}: write it in full, as {key}={Path(folder).expanduser()}")
    nearest = Path(folder).absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    try:
        # The only sure way: permissions say nothing about a file system that is mounted read-only.
        os.rmdir(tempfile.mkdtemp(prefix=".hardneg-", dir=nearest))
    except OSError as error:
        where = "" if nearest == Path(folder).absolute() else f" in {nearest}"
        raise ConfigError(f"{key}={folder}: cannot write{where} ({error.strerror}); choose another folder") from error
