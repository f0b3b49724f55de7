"""One run of MLflow per run folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from hardneg.config.run_summary import SUMMARY
from hardneg.runlog.files import MLFLOW_ID
from hardneg.runlog.first_rank import is_first_rank
from hardneg.runlog.installed import need
from hardneg.runlog.run_id import read_id, write_id

if TYPE_CHECKING:
    from lightning.pytorch.loggers import MLFlowLogger

log = logging.getLogger(__name__)

SQLITE = "sqlite:///"  # before the path of a database in a file
FILES = (SUMMARY, "test.run", "per_query.parquet", "figure.png")


@dataclass(kw_only=True)
class MlflowRun:
    """A context manager that gives a run Lightning's `MLFlowLogger`, and ends it as failed if the job raises.

    The id lies in `folder/mlflow_run_id`: a resumed run goes on under it. The parameters are the resolved config, of
    the run's first start: MLflow does not let them change. MLflow has no `@` in names: `ndcg@10` is `ndcg_at_10` there.
    """

    folder: str | os.PathLike[str]
    name: str
    config: Mapping[str, Any]
    dir: str | os.PathLike[str] = "."
    group: str | None = None
    experiment: str = "hardneg"
    tracking_uri: str | None = None
    artifacts: bool = True
    _logger: MLFlowLogger | None = field(default=None, init=False, repr=False)

    @staticmethod
    def check() -> None:
        """Raise `ConfigError` where MLflow, or what its database needs, is not installed."""
        need("mlflow", "mlflow", "sqlalchemy", "alembic")

    def __enter__(self) -> MLFlowLogger:
        """Start the run, or go on with it, and return its logger."""
        self.check()
        for noisy in ("alembic", "mlflow.store.db.utils", "lightning.pytorch.loggers.mlflow"):  # of a new database
            logging.getLogger(noisy).setLevel(logging.ERROR)
        written = Path(self.folder) / MLFLOW_ID
        known = read_id(written)
        uri, files = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), None
        if uri is None:
            folder = Path(self.dir).expanduser().absolute()
            folder.mkdir(parents=True, exist_ok=True)
            uri, files = f"{SQLITE}{folder / 'mlflow.db'}", (folder / "mlruns").as_uri()
        told = self.config.get("provenance") or {}
        tags = {"group": self.group, "commit": told.get("commit"), "command": told.get("command")}
        first = is_first_rank()
        with _alone(uri):
            made = _logger(
                experiment_name=self.experiment,
                run_name=self.name,
                tracking_uri=uri,
                artifact_location=files,
                tags={key: str(value) for key, value in tags.items() if value},
                run_id=known,
            )
            if first:
                _start(made)
        made.files = FILES if self.artifacts else ()
        if first:
            self._begin(made, known, written, uri)
        self._logger = made
        return made

    def _begin(self, made: Any, known: str | None, written: Path, uri: str) -> None:
        if known is None:
            write_id(written, made.run_id)
            made.log_hyperparams(dict(self.config))
        else:
            made.experiment.update_run(known, status="RUNNING")
        log.info("MLflow: run %s of experiment %s at %s", made.run_id, self.experiment, uri)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the run with the job's fate."""
        if self._logger is not None and is_first_rank():
            self._logger.finalize("success" if error is None else "failed")


def _alone(uri: str) -> AbstractContextManager[Any]:
    """Keep other processes out, as the jobs of a sweep, where the database is a file.

    MLflow makes the tables of a new one without asking whether another process is about to.
    """
    return FileLock(f"{uri.removeprefix(SQLITE)}.lock") if uri.startswith(SQLITE) else nullcontext()


def _start(made: Any) -> None:
    """Start the run, in an experiment that may have to be made first: on a server another job may do so meanwhile."""
    try:
        made.experiment  # noqa: B018
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
            raise
        made.experiment  # noqa: B018


def _logger(**arguments: Any) -> Any:
    """Make the logger; Lightning's class is met here, since its module is slow to import."""
    from lightning.pytorch.loggers import MLFlowLogger

    class Logger(MLFlowLogger):
        files: tuple[str, ...] = ()

        @rank_zero_only
        def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
            """Log one row, under names that MLflow takes."""
            super().log_metrics({key.replace("@", "_at_"): value for key, value in metrics.items()}, step)

        def log_run(self, folder: Path, checkpoint: Path) -> None:
            """Upload the results of the run."""
            for name in self.files:
                if (folder / name).exists():
                    self.experiment.log_artifact(self.run_id, str(folder / name))
            for path in sorted(folder.glob("test/*.run")) if self.files else ():  # of several test sets
                self.experiment.log_artifact(self.run_id, str(path), "test")

    return Logger(**arguments)
