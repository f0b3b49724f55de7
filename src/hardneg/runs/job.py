"""One job of a Hydra app: its folder held and its fate recorded; a sweep's job goes on where an earlier one was."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from hardneg.config import composition, run_identity
from hardneg.config.command_words import command_line, command_named
from hardneg.config.run_summary import read_summary
from hardneg.config.whole_yamls import write_whole
from hardneg.errors import ConfigError, JobFailed, Paused, Pruned, RankLost, UserError
from hardneg.runs import lost_rank, status
from hardneg.runs.earlier_run import finished, note_found
from hardneg.runs.folder import CHECKPOINTS, LAST, clear
from hardneg.runs.trial import is_trial
from hardneg.system import launch
from hardneg.system.full_disk import TEMPORARY, no_room, temporary_folder
from hardneg.system.refused_path import refused_path
from hardneg.system.screen import ONLY_IN_FILE

log = logging.getLogger(__name__)

# Other launchers' workers compose a job's config before they run it, and import this module before that.
composition.register_resolvers()
write_whole()

WATCH = "HARDNEG_WATCH_STDIN"  # set by the launcher of processes: stop when it is gone, which ends our stdin
Entry = Callable[[DictConfig], Any]  # what a command does with its config

TOGETHER = ("train", "train-teacher", "mine", "evaluate")  # commands whose work several ranks share
DECISION = "job"  # what the first rank plans for all, among what it decides (see `launch.decided`)
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def run(entry: Entry, cfg: DictConfig) -> Any:
    """Run a command's function in the output folder that Hydra gives it; return what optimising sweepers read.

    A sweep's job that is finished returns at once; one that was interrupted goes on from its checkpoint; one that
    failed begins anew. An error that a user can mend (also a folder with another config, or one that another process
    works in) is logged without a traceback, by each rank that has it, and ends a single run with exit code 2; in a
    sweep every failure is logged and raises `JobFailed`, so that the other jobs go on.
    """
    app = HydraConfig.get()
    folder = Path(app.runtime.output_dir).resolve()
    if not launch.first_rank():
        try:
            return _followed(entry, cfg, folder)
        except UserError as error:
            if app.mode == RunMode.MULTIRUN:
                raise
            log.error("%s: %s", as_typed(str(app.job.config_name)), error)
            raise SystemExit(2) from error
    refuse_ranks(str(app.job.config_name))
    if os.environ.pop(WATCH, None):
        threading.Thread(target=_stop_without_launcher, daemon=True).start()
    try:
        with ExitStack() as stack:

            def plan() -> dict[str, Any]:
                stack.enter_context(status.held(folder))
                return _plan(cfg, folder)

            planned = launch.decided(DECISION, plan)
            if "result" in planned:
                log.info("finished already: %s", folder)
                note_found(cfg, folder)
                return planned["result"]
            return _recorded(entry, _going_on(cfg, planned), folder)
    except UserError as error:
        log.error("%s: %s", as_typed(str(app.job.config_name)), error)
        if app.mode == RunMode.MULTIRUN:
            raise JobFailed(str(error)) from error
        if not of_sweep(app) and not any(word.startswith("hydra.run.dir=") for word in app.overrides.hydra):
            status.remove_empty(folder)
        raise SystemExit(2) from error


def as_typed(config_name: str) -> str:
    """Return a config's command as it is typed (hardneg train-teacher): messages of refusal begin with it."""
    return f"hardneg {command_named(config_name)}"


def of_sweep(app: Any) -> bool:
    """Whether a job belongs to a sweep; in one of processes its launcher sets the number that tells."""
    return app.mode == RunMode.MULTIRUN or not OmegaConf.is_missing(app.job, "num")


def refuse_ranks(config_name: str) -> None:
    """Raise `ConfigError` for a command that works alone where torchrun or srun started several processes of it."""
    here = launch.place()
    if here is not None and command_named(config_name) not in TOGETHER:
        raise ConfigError(
            f"hardneg {config_name} runs in one process, and {here.world} were started: leave out torchrun or srun"
        )


def _plan(cfg: DictConfig, folder: Path) -> dict[str, Any]:
    """Plan for all ranks what to do in the folder: take the `result` that is there, or `go_on` from a checkpoint.

    The plan has neither where a run begins. Clears what a failed run left.
    """
    if not of_sweep(HydraConfig.get()):
        return {}
    if (done := finished(folder, cfg)) is not None:
        return {"result": done["result"]}
    found = status.read(folder)
    if found is not None and status.begins_anew(found):
        if launch.first_rank():
            clear(folder)
        return {}
    if "ckpt_path" in cfg and (last := folder / CHECKPOINTS / LAST).exists():
        log.info("resuming from %s", last)
        return {"go_on": str(last)}
    return {}


def _going_on(cfg: DictConfig, planned: dict[str, Any]) -> DictConfig:
    """Set `ckpt_path` where there is a checkpoint to go on from."""
    if "go_on" in planned:
        with open_dict(cfg):
            cfg.ckpt_path = planned["go_on"]
    return cfg


def _followed(entry: Entry, cfg: DictConfig, folder: Path) -> Any:
    """Do as the first rank has planned, which records the outcome; a job that it gives up is given up here too."""
    try:
        planned = launch.decided(DECISION, lambda: _plan(cfg, folder))
        return planned["result"] if "result" in planned else entry(_going_on(cfg, planned))
    except Paused:
        return None
    except (Pruned, RankLost):
        raise
    except Exception as error:
        lost_rank.note_failure(folder, _last_line(error))
        raise
    except SystemExit as stop:
        if stop.code == 2 and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise JobFailed("given up by rank 0") from stop
        raise


def _recorded(entry: Entry, cfg: DictConfig, folder: Path) -> Any:
    """Run, and record the outcome in the folder."""
    app = HydraConfig.get()
    best = OmegaConf.select(cfg, "evaluate.best")
    name = str(cfg.get("run_name") or folder.name)
    facts = {"name": name, "overrides": list(app.overrides.task), "identity": _identity(cfg, folder)}
    status.begin(folder, **facts, best=best)
    try:
        result = entry(cfg)
        if is_trial(cfg):  # a run without a result is not done
            status.write(folder, state="trial", result=None)
            return result
    except Pruned as ended:
        status.write(folder, state="pruned", result=ended.value)
        return ended.value
    except Paused:
        status.write(folder, state="paused")
        return None
    except KeyboardInterrupt:
        status.write(folder, state="interrupted")
        again = f"; resume with: {command_line('resume', folder)}" if (folder / CHECKPOINTS / LAST).is_file() else ""
        log.error("interrupted%s", again)
        sys.exit(INTERRUPTED[0])
    except SystemExit as stop:
        orderly = stop.code in INTERRUPTED
        status.write(folder, state="interrupted" if orderly else "failed", error=None if orderly else f"exit {stop}")
        raise
    except UserError as error:
        raise lost_rank.noted(folder, error) from error.__cause__
    except Exception as error:
        folders = {"cache": cfg.get("cache"), "run folder": folder, TEMPORARY: temporary_folder()}
        mendable = no_room(error, folders) or refused_path(error)
        with suppress(OSError):  # the error below matters more than a state that could not be written
            status.write(folder, state="failed", error=mendable or _last_line(error))
        if mendable:
            log.info("what could not be read or written", exc_info=error, extra=ONLY_IN_FILE)
            raise UserError(mendable) from error
        if app.mode != RunMode.MULTIRUN:
            raise
        log.error("".join(traceback.format_exception(error)).rstrip())
        raise JobFailed(_last_line(error)) from error
    status.write(folder, state="done", result=result, test=_test(folder))
    return result


def _identity(cfg: DictConfig, folder: Path) -> str:
    """The identity of the run that begins, or of the one that goes on, whatever either was asked to start from."""
    found = status.read(folder)
    same = found and run_identity.goes_on(cfg.get("ckpt_path"), folder)
    return str(found["identity"]) if found and same else run_identity.identity(cfg, folder)


def _test(folder: Path) -> dict[str, float]:
    """The test metrics of the trained model, as the run has written them."""
    test = (read_summary(folder) or {}).get("test", {})
    return test.get("after") or test.get("checkpoint") or {}


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _stop_without_launcher() -> None:
    """Stop as by SIGTERM once the launcher, which holds the other end of our stdin, is gone."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
