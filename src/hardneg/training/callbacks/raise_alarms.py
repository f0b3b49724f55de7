"""Where an alarm is heard: on the screen, in the log, as a metric, and from W&B."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import lightning as L

from hardneg.mining.alarm_rules import Alarm
from hardneg.training.write_row import write_row

log = logging.getLogger(__name__)


def raise_alarms(trainer: L.Trainer, about: str, alarms: Iterable[Alarm]) -> None:
    """Raise alarms about a source or the model, as `alarms/<about>/<name>`; rank 0 does."""
    if not trainer.is_global_zero:
        return
    for alarm in alarms:
        log.warning("ALARM %s: %s", about, alarm.text)
        write_row(trainer, {f"alarms/{about}/{alarm.name}": 1.0})
        for logger in trainer.loggers:
            if alert := getattr(getattr(logger, "experiment", None), "alert", None):
                alert(title=f"{about}: {alarm.name}", text=alarm.text)
