"""What is logged while work is done, kept with its result: a process that finds the result logs it, too."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

EXTRA = ("in_short", "only_in_file")  # what `hardneg.system.screen` reads

Line = dict[str, Any]  # level, message, extra: what JSON can hold


class _Notes(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        extra = {key: vars(record)[key] for key in EXTRA if key in vars(record)}
        self.lines.append({"level": record.levelno, "message": record.getMessage(), "extra": extra})


@contextmanager
def noted(name: str) -> Iterator[list[Line]]:
    """Collect what the logger of that name, and those below it, log within the block."""
    notes = _Notes()
    logging.getLogger(name).addHandler(notes)
    try:
        yield notes.lines
    finally:
        logging.getLogger(name).removeHandler(notes)


def log_again(log: logging.Logger, lines: Sequence[Line]) -> None:
    """Log these lines by another logger."""
    for line in lines:
        log.log(line["level"], "%s", line["message"], extra=line["extra"])
