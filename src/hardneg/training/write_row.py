"""Rows that a run writes to its loggers at once, beside those that Lightning writes at steps of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import lightning as L

from hardneg.matrix.telemetry import with_former

log = logging.getLogger(__name__)


def write_row(trainer: L.Trainer, metrics: Mapping[str, int | float], step: int | None = None) -> None:
    """Have every logger write metrics at a step (None: the one just done), also under names that they had before."""
    at = trainer.global_step if step is None else step
    for logger in trainer.loggers:
        logger.log_metrics(with_former(metrics), step=at)


def write_mined(trainer: L.Trainer, source: str, numbers: Mapping[str, float], step: int) -> None:
    """Say on the screen how a source's mining came out, and write it as `mining/<source>/...`."""
    log.info("%s at step %d: %s", source, step, ", ".join(f"{key} {value:.3g}" for key, value in numbers.items()))
    write_row(trainer, {f"mining/{source}/{key}": value for key, value in numbers.items()}, step)
