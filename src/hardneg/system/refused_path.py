"""A file or folder that the system does not let us read or write, in plain words."""

from __future__ import annotations

import errno
import os

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def refused_path(error: BaseException) -> str | None:
    """Say which path was refused and why; None where that was not the error.

    A file that is not there is none of these: whoever looks for one says so himself.
    """
    if not isinstance(error, OSError) or error.errno not in REFUSED or error.filename is None:
        return None
    path = os.fsdecode(error.filename)
    reading = "; look at its permissions, or name another" if error.errno in REFUSED[:3] else "; name another"
    return f"{path}: {error.strerror}{reading}"
