"""Rows that a run writes to its loggers at once, beside those that Lightning writes at steps of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import lightning as L

from hardneg.system.screen import in_short

log = logging.getLogger(__name__)

SHOWN = ("round", "kept", "recall", "above_positive")  # on the screen; the log file and metrics.csv have all
SAYS = "%s at step %d: %s"


def write_row(trainer: L.Trainer, metrics: Mapping[str, int | float], step: int | None = None) -> None:
    """Have every logger write metrics at a step (None: the one just done)."""
    at = trainer.global_step if step is None else step
    for logger in trainer.loggers:
        logger.log_metrics(dict(metrics), step=at)


def write_mined(trainer: L.Trainer, source: str, numbers: Mapping[str, float], step: int) -> None:
    """Say how a source's mining came out, and write it as `mining/<source>/...`."""
    shown = {key: value for key, value in numbers.items() if key in SHOWN}
    log.info(SAYS, source, step, _in_words(numbers), extra=in_short(SAYS % (source, step, _in_words(shown or numbers))))
    write_row(trainer, {f"mining/{source}/{key}": value for key, value in numbers.items()}, step)


def _in_words(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:.3g}" for key, value in numbers.items())
