"""Whether a folder can be written, looked at without making it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hardneg.errors import ConfigError


def check_writable(path: str | Path, key: str, is_file: bool = False) -> None:
    """Raise `ConfigError`, naming the config's key, for a folder (or a file's) that can be neither written to nor made.

    So for one with a ~ that a shell would have expanded, unless there is such a folder here: it would be made by that
    name.
    """
    folder = Path(path).parent if is_file else path
    if (full := os.path.expanduser(path)) != str(path) and not os.path.lexists(folder):
        mend = f"write it in full, as {key}={full}; if a folder here is to be called ~, make ./{folder} first"
        raise ConfigError(f"{key}={path}: {mend}")
    nearest = Path(folder).absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    try:
        # The only sure way: permissions say nothing about a file system that is mounted read-only. The file has no name
        # where the system knows such files, so that a kill leaves nothing.
        with tempfile.TemporaryFile(prefix=".hardneg-", dir=nearest):
            pass
    except OSError as error:
        where = "" if nearest == Path(folder).absolute() else f" in {nearest}"
        raise ConfigError(f"{key}={folder}: cannot write{where} ({error.strerror}); choose another folder") from error
