"""How many files a process may hold open; every memory-mapped array counts as one."""

from __future__ import annotations

import sys

try:
    import resource
except ImportError:  # Windows limits them too, by a number of its own
    resource = None  # type: ignore[assignment]

UNKNOWN = 1024  # what most systems allow


def share() -> int:
    """How many files one part of a run may hold open: a quarter of what the process may."""
    if resource is None:
        return UNKNOWN // 4
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else allowed // 4
