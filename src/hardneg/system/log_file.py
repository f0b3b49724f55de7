"""The log file of a run, on a disk that may be full."""

from __future__ import annotations

import logging
import sys


class LogFile(logging.FileHandler):
    """Leaves out what cannot be written: the screen has it too, and would be given a traceback for each such line."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Tell a wrong message, as Python does, but not that the disk has no room."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)
