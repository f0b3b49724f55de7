"""Log lines on the screen, which never run into the line of a progress bar."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tqdm import tqdm

ONLY_IN_FILE = {"only_in_file": True}  # the `extra` of a message that the log file has, and the screen has not
CLEAN_LINE = "\r\x1b[K"  # to its beginning, and empty: a terminal has left ^C there


class Screen(logging.StreamHandler):
    """Writes to what `sys.stderr` is at the moment, so that whoever shows a bar can move it out of the way."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # a stream of its own would be the one of now

    @property
    def stream(self) -> Any:
        """Standard error as it is: rich takes its place while its bar moves."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line above our bars, in place of what a terminal may have left there; none that is for the file."""
        if getattr(record, "only_in_file", False):
            return
        with tqdm.external_write_mode(file=sys.stderr):
            screen: Any = sys.stderr
            real: Any = sys.__stderr__
            if screen is not None and screen is real and screen.isatty():
                screen.write(CLEAN_LINE)
            super().emit(record)
