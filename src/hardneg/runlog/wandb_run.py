"""One W&B run per job, whatever the launcher, online or offline."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hardneg.config.command_words import in_shell
from hardneg.errors import DataError, UserError
from hardneg.runlog import wandb_mode as modes
from hardneg.runlog import wandb_read
from hardneg.runlog.artifacts import Artifacts, check_kinds, trace
from hardneg.runlog.files import METRICS, WANDB_ID
from hardneg.runlog.first_rank import is_first_rank
from hardneg.runlog.metrics_csv import read_rows
from hardneg.runlog.run_id import read_id, write_id
from hardneg.system.screen import in_short, shortest

if TYPE_CHECKING:
    import wandb
    from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)

# a hard kill loses 2 s, not wandb's 15 s; starting waits 30 s for a server, not 90 s; closing does not wait for ever
_SETTINGS: dict[str, Any] = {
    "x_transaction_log_flush_interval": 2.0,
    "init_timeout": 30.0,
    "finish_timeout": 600.0,
    "finish_timeout_raises": True,
    "silent": True,
    "console": "wrap",
}

_PATIENCE = 30.0  # seconds for W&B's service to write the end of an offline log


@dataclass(kw_only=True)
class WandbRun:
    """A context manager that gives a job its `WandbLogger` and always closes the run, as failed if the job raises.

    `dir` gets ONE `wandb/` folder for all jobs, because neither `wandb leet` nor `wandb sync` look into subfolders.
    The run's id lies in `folder/wandb_run_id`: a resumed job goes on under the same id, with each step logged once.
    `config` is a plain dict; put flat keys to group by (`negatives_id`, `seed`, ...) beside the nested ones. For each
    metric named in `best` the summary holds `{"max": ..., "last": ...}`, without step 0. `artifacts` is what is kept
    beside metrics and tables (see `hardneg.runlog.artifacts`); `inputs` are the checkpoints that the run takes from
    others, by config key: the config's `inputs` says which exactly, artifacts or not. On ranks other than 0 nothing is
    made, and the logger's `experiment` is a dummy that has methods only (no `summary[...] = `).

    Entering raises `ConfigError` for an unknown mode and `UserError` if `mode="online"` cannot be; `mode="auto"` goes
    offline instead (see `hardneg.runlog.wandb_mode.choose`).
    """

    project: str
    name: str
    dir: str | os.PathLike[str]
    folder: str | os.PathLike[str]
    config: Mapping[str, Any]
    group: str | None = None
    job_type: str = "train"
    tags: Sequence[str] = ()
    best: Sequence[str] = ()
    mode: str = "auto"
    artifacts: Sequence[str] = ("run",)
    inputs: Mapping[str, str] = field(default_factory=dict)
    _run: wandb.Run | None = field(default=None, init=False, repr=False)
    _earlier: tuple[Mapping[str, Any], Sequence[Mapping[str, str]]] = field(default=({}, ()), init=False, repr=False)
    _inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict, init=False, repr=False)
    _environment: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False, repr=False)

    def __post_init__(self) -> None:
        check_kinds(self.artifacts)
        # absolute now: the job may change its working directory
        self.dir = Path(self.dir).expanduser().absolute()
        self.folder = Path(self.folder).absolute()

    def __enter__(self) -> WandbLogger:
        """Start the run and return its logger."""
        if not is_first_rank():
            return self._logger()
        import wandb

        if wandb.run is not None:  # left open by an earlier job of this process: wandb.init would go on in it
            log.warning("W&B run %s was left open; closing it", wandb.run.id)
            wandb.finish(exit_code=1)
        with contextlib.ExitStack() as environment:
            environment.enter_context(_data_dir(Path(self.dir)))
            self._run = self._start()
            if not self._run.disabled:
                self._look_back(self._run)
                write_id(self._id_file, self._run.id)
                self._announce(self._run)
            self._environment = environment.pop_all()
        return self._logger()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the run with the job's exit code."""
        run, self._run = self._run, None
        if run is None:
            return
        with self._environment:
            folder = Path(run.dir).parent
            try:
                run.finish(exit_code=_exit_code(error))
                if run.offline and not wandb_read.wait_until_whole(folder, _PATIENCE):
                    log.warning("W&B's log in %s is incomplete after %g s; sync it later", folder, _PATIENCE)
            except Exception as failure:  # a job that ran well has not failed because its log could not be closed
                log.warning("W&B run %s not closed (%s); `wandb sync %s` uploads it", run.id, failure, folder)

    def _logger(self) -> WandbLogger:
        from hardneg.runlog.wandb_resumed import ContinuedLogger

        # without a run (rank > 0) its `experiment` is a dummy; offline=True would set WANDB_MODE for later jobs
        run = self._run
        kept = None if run is None or run.disabled else Artifacts(run, self.artifacts)
        if kept is not None:
            kept.use_checkpoints(self._inputs)
        return ContinuedLogger(
            *(self._earlier if run else ({}, ())),
            artifacts=kept,
            best=self.best,
            project=self.project,
            name=self.name,
            save_dir=str(self.dir),
            id=run.id if run else None,
            experiment=run,
        )

    def _look_back(self, run: wandb.Run) -> None:
        """See what the history of an earlier attempt has, and what it should have."""
        if not self._id_file.is_file():
            return
        if run.offline:
            # Each attempt is a folder of its own; `wandb sync` joins them.
            folders = sorted((Path(self.dir) / "wandb").glob(f"*run-*-{run.id}"), key=lambda path: path.name)
            rows = [row for folder in folders if folder != Path(run.dir).parent for row in _history(folder)]
            reached = {key: value for row in rows for key, value in row.items()}
        else:
            reached = dict(run.summary)
        self._earlier = (reached, read_rows(Path(self.folder) / METRICS))

    @property
    def _id_file(self) -> Path:
        return Path(self.folder) / WANDB_ID

    def _run_id(self) -> str:
        if os.environ.get("WANDB_SWEEP_ID") and (given := os.environ.get("WANDB_RUN_ID")):
            return given  # a sweep's agent knows the run by this id
        return read_id(self._id_file) or uuid.uuid4().hex[:8]

    def _start(self) -> wandb.Run:
        import wandb

        mode, insists = modes.choose(self.mode)
        self._inputs = trace(self.inputs)
        run_id = self._run_id()
        try:
            return self._init(mode, run_id)
        except wandb.Error as error:
            if mode != "online":
                raise
            reason = " ".join(str(error).split())
            if insists:
                raise UserError(f"W&B run could not be started: {reason}; or {modes.OFFLINE}") from error
            log.warning("W&B run could not be started (%s); it is logged offline", reason)
            wandb.teardown()  # the failed attempt still holds the run's id
            return self._init("offline", run_id)

    def _init(self, mode: str, run_id: str) -> wandb.Run:
        import wandb

        known = {key: value for key, value in _SETTINGS.items() if key in wandb.Settings.model_fields}
        run = wandb.init(
            project=self.project,
            name=self.name,
            id=run_id,
            resume="allow",
            dir=str(self.dir),
            group=self.group,
            job_type=self.job_type,
            tags=list(self.tags),
            config={**self.config, **({"inputs": self._inputs} if self._inputs else {})},
            mode=mode,  # type: ignore[arg-type]
            settings=wandb.Settings(**known),
        )
        run.define_metric(wandb_read.STEP)
        run.define_metric("*", step_metric=wandb_read.STEP, step_sync=True)
        for metric in self.best:  # by exact name, because "*" beats a pattern like "val/*"
            run.define_metric(metric, step_metric=wandb_read.STEP, summary="max,last")
        return run

    def _announce(self, run: wandb.Run) -> None:
        if run.offline:
            runs = Path(self.dir) / "wandb"
            log.info(
                "W&B offline run %s in %s; view: %s",
                *(run.id, Path(run.dir).parent, in_shell(["wandb", "leet", str(runs)])),
                extra=in_short(f"W&B offline; view: {in_shell(['wandb', 'leet', shortest(runs)])}"),
            )
        else:
            log.info("W&B run %s at %s", run.id, run.url)


def _history(folder: Path) -> list[dict[str, Any]]:
    """The rows of an earlier attempt: none of one that was killed before its log began, or whose log is damaged."""
    try:
        return wandb_read.history(folder)
    except DataError as error:  # a run that can be resumed is not lost for the log of its last attempt
        log.warning("%s; rows that it has may be logged once more", error)
        return []


@contextlib.contextmanager
def _data_dir(root: Path) -> Iterator[None]:
    """Set WANDB_DATA_DIR for one job: a file of an offline artifact is staged there, and `wandb sync` expects it there.

    Raises `UserError` if `root` cannot be written, where wandb itself would go to the system's temporary folder.
    """
    before = os.environ.get("WANDB_DATA_DIR")
    folder = Path(before or root / "wandb" / "data").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"logger.wandb.dir={root}: cannot write there: {error}") from error
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("WANDB_DATA_DIR", None)
        else:
            os.environ["WANDB_DATA_DIR"] = before


def _exit_code(error: BaseException | None) -> int:
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 255 if isinstance(error, KeyboardInterrupt) else 1
