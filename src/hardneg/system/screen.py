"""Log lines on the screen, which never run into the line of a progress bar."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

# The `extra` of a message that the log file has, and the screen has not.
ONLY_IN_FILE: dict[str, Any] = {"only_in_file": True}
WIDTH = 80  # columns of a usual terminal
CLEAN_LINE = "\r\x1b[K"  # to its beginning, and empty: a terminal has left ^C there


def in_short(text: str) -> dict[str, Any]:
    """Return the `extra` of a message that the log file has as it is, and the screen in these words."""
    return {"in_short": text}


def shortest(path: str | Path) -> str:
    """Write a path as it is or from the current folder on, whichever is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def before_command(said: str, command: str) -> str:
    """Put a command behind what is said, or whole into a line of its own where both are too long for a terminal."""
    line = f"{said} {command}"
    return line if len(line) <= WIDTH else f"{said}\n{command}"


class Screen(logging.StreamHandler):
    """Writes to what `sys.stderr` is at the moment, so that whoever shows a bar can move it out of the way."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # a stream of its own would be the one of now

    @property
    def stream(self) -> Any:
        """Standard error as it is: rich takes its place while its bar moves."""
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        """Write the message, in its short form if it has one."""
        return getattr(record, "in_short", None) or super().format(record)

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
