"""The memory of a process, as the system counts it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def mib(field: str, process: int | str = "self") -> float:
    """Return a field of Linux's /proc/PROCESS/status in MiB: VmRSS (resident now), VmHWM (at most so far), RssAnon.

    Without /proc it is this process's peak, whatever was asked for. That is no substitute where there is one: a child's
    begins with its parent's.
    """
    path = Path(f"/proc/{process}/status")
    if not path.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)
    lines = path.read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024
