"""One run of Aim per run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from hardneg.config.run_summary import read_summary
from hardneg.runlog.files import AIM_ID
from hardneg.runlog.first_rank import is_first_rank
from hardneg.runlog.installed import need
from hardneg.runlog.run_id import read_id, write_id


@dataclass(kw_only=True)
class AimRun:
    """A context manager that gives a run Aim's own logger for Lightning, and closes the run with the job.

    Its hash lies in `folder/aim_run_hash`: a resumed run goes on under it. Metrics keep their names; the
    hyperparameters are the resolved config, and the closing table is `test` of the run.
    """

    folder: str | os.PathLike[str]
    name: str
    config: Mapping[str, Any]
    experiment: str = "hardneg"
    repo: str = "."
    system_tracking_interval: int | None = None
    _logger: Any = field(default=None, init=False, repr=False)

    @staticmethod
    def check() -> None:
        """Raise `ConfigError` where Aim is not installed."""
        need("aim", "aim")

    def __enter__(self) -> Any:
        """Start the run, or go on with it, and return its logger."""
        self.check()
        from aim.pytorch_lightning import AimLogger

        class Logger(AimLogger):
            @rank_zero_only
            def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
                """Track one row; an epoch is a whole number."""
                super().log_metrics({k: int(v) if k == "epoch" else v for k, v in metrics.items()}, step)

            def log_run(self, folder: Path, checkpoint: Path) -> None:
                """Add the closing table."""
                self.experiment.set("test", (read_summary(folder) or {}).get("test"), strict=False)

        written = Path(self.folder) / AIM_ID
        known = read_id(written)
        self._logger = Logger(
            repo=self.repo,
            experiment=self.experiment,
            run_name=self.name,
            run_hash=known,
            context_prefixes={},
            system_tracking_interval=self.system_tracking_interval,
            capture_terminal_logs=False,
        )
        if is_first_rank():
            self._logger.log_hyperparams(dict(self.config))
            write_id(written, self._logger.experiment.hash)
        return self._logger

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the run."""
        if self._logger is not None and is_first_rank():
            self._logger.experiment.close()
