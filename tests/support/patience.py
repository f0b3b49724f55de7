"""How long a test waits for a process: longer on a machine that is busy with other things."""

from __future__ import annotations

import os


def patience(seconds: float) -> float:
    """Return what these seconds of a quiet machine may take now, by its load for each core."""
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * max(1.0, 2 * busy)
