"""TensorBoard's files of one run, in its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from hardneg.config.run_identity import flat
from hardneg.config.run_summary import read_summary
from hardneg.runlog.files import TENSORBOARD
from hardneg.runlog.installed import need
from hardneg.system.markdown_table import table_of_means


class _Logger(TensorBoardLogger):
    """Continues existing files: what a killed run logged after its last checkpoint is shown once.

    The config is there from the beginning as a text; as hyperparameters it comes at the end, with the test metrics,
    since TensorBoard takes both together.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        super().__init__(str(folder), name="", version=TENSORBOARD, default_hp_metric=False)
        self.config = config
        self.hparams = dict(config)  # for hparams.yaml
        self._begun, self._goes_on = False, any((folder / TENSORBOARD).glob("events.*"))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write one row; the first one says which older rows it replaces."""
        if not self._begun:
            self._begun = True
            if self._goes_on:
                _purge(self.experiment, (step or 0) + 1)  # a row of this very step may be another process's
            else:
                text = json.dumps(self.config, indent=2, default=str)
                self.experiment.add_text("config", f"```json\n{text}\n```", 0)
        super().log_metrics(dict(metrics), step)

    def log_run(self, folder: Path, checkpoint: Path) -> None:
        """Add the closing table, and the config as hyperparameters beside the test metrics."""
        summary = read_summary(folder)
        if summary is None or not (rows := summary["test"]):
            return
        self.experiment.add_text("test", table_of_means("", rows), summary["steps"])
        plain = {key: value if isinstance(value, int | float | str) else str(value) for key, value in flat(self.config)}
        self.log_hyperparams(plain, {f"test/{key}": value for key, value in rows["after"].items()}, summary["steps"])
        self.save()


def _purge(writer: Any, step: int) -> None:
    """Tell TensorBoard that earlier rows of this step and later ones are void."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    files = writer._get_file_writer()
    files.add_event(Event(step=step, file_version="brain.Event:2"))
    files.add_event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))


@dataclass(kw_only=True)
class TensorboardRun:
    """A context manager that gives a run Lightning's `TensorBoardLogger`, in `folder/tensorboard`."""

    folder: str | os.PathLike[str]
    config: Mapping[str, Any]
    _logger: _Logger | None = field(default=None, init=False, repr=False)

    @staticmethod
    def check() -> None:
        """Raise `ConfigError` where TensorBoard is not installed."""
        need("tensorboard", "tensorboard")

    def __enter__(self) -> TensorBoardLogger:
        """Return the logger; its files are opened by the first row."""
        self.check()
        self._logger = _Logger(Path(self.folder).absolute(), self.config)
        return self._logger

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is still held."""
        if self._logger is not None and self._logger._experiment is not None:
            self._logger.experiment.close()
