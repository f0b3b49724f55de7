"""A W&B logger whose history has every step once, also after a kill and a resume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from hardneg.runlog.artifacts import Artifacts
from hardneg.runlog.wandb_read import STEP


class ContinuedLogger(WandbLogger):
    """Goes on where an earlier attempt's history ends.

    A killed run has logged steps after its last checkpoint, which are logged again, and may have lost the last ones
    before it, which are not. So what `reached` already has is left out, and what it lacks comes from `written`, the
    rows of metrics.csv. `reached` holds the last value of each metric, `STEP` among them.

    Of each metric named in `best` the summary says the highest value of the training. W&B's own `max` counts step 0,
    the untrained model, too, which is no checkpoint: a run that training made worse would look better than its best.
    """

    def __init__(
        self,
        reached: Mapping[str, Any],
        written: Sequence[Mapping[str, str]],
        artifacts: Artifacts | None = None,
        best: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self._reached, self._written = reached, written
        self._highest = {
            name: max((float(row[name]) for row in written if name in row and int(row["step"]) > 0), default=-math.inf)
            for name in best
        }
        self._artifacts = artifacts  # None: this is another rank, or nothing is logged at all

    def log_run(self, folder: Path, checkpoint: Path) -> None:
        """Keep the files of a finished run, as far as `artifacts` says so."""
        if self._artifacts is not None:
            self._artifacts.log_run(folder, checkpoint)

    def log_store(self, source: str, folder: Path, card: Mapping[str, Any], mined: bool) -> None:
        """Say which mined list a source draws from, and keep it as far as `artifacts` says so."""
        if self._artifacts is not None:
            self._artifacts.log_store(source, folder, card, mined)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a row unless the history has it; before the first one fill the gap up to its step."""
        if step is not None and self._written:
            gap, self._written = self._written, ()
            for row in gap:
                if int(row["step"]) <= step and not (int(row["step"]) == step and metrics.keys() <= row.keys()):
                    values = {key: float(value) for key, value in row.items() if key != "step"}
                    self._log_new(values, int(row["step"]))
        self._log_new(metrics, step)

    def _log_new(self, metrics: Mapping[str, Any], step: int | None) -> None:
        reached = self._reached.get(STEP, -1)
        if step is None or step > reached or (step == reached and not self._has(metrics)):
            super().log_metrics(metrics, step)  # type: ignore[arg-type]
            if step is not None and step > 0 and self._artifacts is not None:
                self._say_best(metrics)

    def _say_best(self, metrics: Mapping[str, Any]) -> None:
        for name in self._highest.keys() & metrics.keys():
            value = float(metrics[name])
            if not math.isnan(value):
                self._highest[name] = max(self._highest[name], value)
                self.experiment.summary[name] = {"max": self._highest[name], "last": value}

    def _has(self, metrics: Mapping[str, Any]) -> bool:
        """Whether a row of the last step is there: a run that goes on repeats its values exactly."""
        return all(_last(self._reached.get(key)) == float(value) for key, value in metrics.items())


def _last(value: Any) -> Any:
    return value.get("last") if isinstance(value, Mapping) else value
