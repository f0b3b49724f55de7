"""What is logged while work is done, kept with its result: a process that finds the result logs it, too."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

EXTRA = ("in_short", "only_in_file")  # what `hardneg.system.screen` reads

Line = dict[str, Any]  # level, message, extra: what JSON can hold


class _Notes(logging.Handler):
    """Collects lines, and passes on those that the logger's own level lets through."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self.log, self.shown = log, log.getEffectiveLevel()
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        extra = {key: vars(record)[key] for key in EXTRA if key in vars(record)}
        self.lines.append({"level": record.levelno, "message": record.getMessage(), "extra": extra})
        if record.levelno >= self.shown and self.log.parent is not None:
            self.log.parent.callHandlers(record)


@contextmanager
def noted(name: str) -> Iterator[list[Line]]:
    """Collect what the logger of that name, and those below it, log within the block, from INFO on.

    Whether this process shows it does not matter: another that finds the result may be told more.
    """
    log = logging.getLogger(name)
    notes, level, propagate = _Notes(log), log.level, log.propagate
    log.addHandler(notes)
    log.setLevel(min(logging.INFO, notes.shown))
    log.propagate = False
    try:
        yield notes.lines
    finally:
        log.removeHandler(notes)
        log.setLevel(level)
        log.propagate = propagate


def log_again(log: logging.Logger, lines: Sequence[Line]) -> None:
    """Log these lines by another logger."""
    for line in lines:
        log.log(line["level"], "%s", line["message"], extra=line["extra"])
