"""Before the first job: all jobs of a sweep composed and checked, and a single run given a folder of its own."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config import run_identity
from hardneg.config.composition import as_in_a_job, parsed
from hardneg.config.database_password import drop_from_config
from hardneg.config.slips import in_plain_words
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config, check_places
from hardneg.preflight.writable import check_writable
from hardneg.runs import status
from hardneg.runs.folder import holds, new_folder, refuse_used
from hardneg.runs.job import as_typed
from hardneg.sweep.jobs import Job, announce, check_folders, expand
from hardneg.sweep.jobs import compose as compose_job
from hardneg.system import launch
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import track

log = logging.getLogger(__name__)


class Preflight(Callback):
    """Check every job of a sweep before the first one starts, and a single run before it has a folder.

    Exits by `SystemExit`: Hydra would turn any other exception into a warning and go on.
    """

    sweep: Path | None = None  # the folder of a sweep that passed, for the table at its end
    checked = False  # whether the single run that begins now was checked in this process

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a config that cannot work, and a folder with another run's results; take a folder of its own.

        Raises `ConfigError` for a search without -m, unless it is a trial of one that is gone on with in its folder.
        """
        training = str(config.hydra.job.config_name).startswith("train")
        command = as_typed(str(config.hydra.job.config_name))
        with stopping_at_errors(command):
            drop_from_config(config)  # first: Hydra writes this config into the folder of any run
        if not OmegaConf.is_missing(config.hydra.job, "num"):  # a sweep's job continues what its folder holds
            return
        named = "${now:" not in str(OmegaConf.to_container(config.hydra.run, resolve=False))

        def choose() -> dict[str, Any]:
            """Check, on the first rank for all, and return what the run is and where it lies."""
            cfg = copy.deepcopy(config)
            with open_dict(cfg):
                cfg.pop("hydra")
            if str(config.hydra.sweeper._target_).endswith(".Optuna") and not holds(Path(config.hydra.run.dir), cfg):
                raise ConfigError("hparams_search= and hydra/sweeper=optuna choose the values of a sweep: add -m")
            refuse_used(Path(config.hydra.run.dir), cfg, training)
            check_config(cfg, check_places, lambda _: check_writable(config.hydra.run.dir, "hydra.run.dir"))
            Preflight.checked = True
            check_here(cfg)
            if "trainer" in cfg and isinstance(cfg.trainer.devices, int) and cfg.trainer.devices > 0:
                launch.check_count(cfg.trainer.devices * cfg.trainer.num_nodes)
            folder = Path(config.hydra.run.dir)
            folder = folder if named or not launch.first_rank() else new_folder(folder)
            if launch.first_rank():  # before Hydra writes there; another run may have begun since, or ended
                status.claim(folder.resolve(), lambda: refuse_used(folder, cfg, training, claimed=True))
            return {"folder": str(folder), "settings": run_identity.settings(config)}

        with stopping_at_errors(command), as_in_a_job(config, "hydra.run.dir"):
            chosen = launch.decided("folder", choose)
            if not launch.first_rank():
                check_alike(chosen["settings"], run_identity.settings(config))
                follow(config)
        with editable(config.hydra.run):
            config.hydra.run.dir = chosen["folder"]

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check all jobs and their folders; a bad one ends the sweep here."""
        command = as_typed(str(config.hydra.job.config_name))
        with stopping_at_errors(command):  # first: jobs take over the time in it, as it was found here
            folder = Path(launch.decided("sweep", lambda: str(config.hydra.sweep.dir)))
        with editable(config.hydra):
            config.hydra.sweep.dir = str(folder)
            if not launch.first_rank():
                follow(config)
        with stopping_at_errors(command):
            drop_from_config(config)
        words = list(config.hydra.overrides.task)
        chosen = str(config.hydra.sweeper._target_).endswith(".BasicSweeper")
        with stopping_at_errors("the sweep cannot run, so no job was started"):
            check_launcher(config.hydra.launcher)
            check_writable(folder, "hydra.sweep.dir")
            listed = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
            jobs = expand([*listed, *words] if chosen else fixed(words))
        checked = []
        for number, job in enumerate(track(jobs, "check jobs")):
            with stopping_at_errors(f"{' '.join(job)} cannot run, so no job was started"):
                checked.append(compose_job(config, job, number, partial(check_job, launcher=config.hydra.launcher)))
        check_inputs(checked)
        if chosen:
            with stopping_at_errors("no job was started"):
                check_folders(checked)
            announce(folder, checked)
        if not str(config.hydra.sweeper._target_).endswith(".Race"):  # a race reports its own outcome
            Preflight.sweep = folder
        log.info("%s checked", counted(len(checked), "job"))


def check_alike(settings: dict[str, Any], own: dict[str, Any]) -> None:
    """Raise `ConfigError` where this rank was started with other settings than the first, naming those."""
    different = [key for key in sorted(settings.keys() | own.keys()) if settings.get(key) != own.get(key)]
    if different:
        said = ", ".join(f"{key}={own.get(key)} (rank 0: {settings.get(key)})" for key in different[:3])
        raise ConfigError(f"a rank was started with another config than rank 0: {said}; start all of them alike")


def follow(config: DictConfig) -> None:
    """Leave the run's config and messages to the first rank; log into a file of this rank's own.

    The ranks that Lightning starts are told so by it.
    """
    with editable(config.hydra):
        OmegaConf.update(config.hydra, "job_logging.handlers.console.level", "WARNING")
    if (here := launch.place()) is not None:
        with editable(config.hydra):
            config.hydra.output_subdir = None
            config.hydra.job.name = f"{config.hydra.job.name}_rank_{here.rank}"


@contextmanager
def editable(node: DictConfig) -> Iterator[None]:
    """Make a part of Hydra's own config editable: it is closed, and read-only from Hydra 1.4 on."""
    with read_write(node), open_dict(node):
        yield


@contextmanager
def stopping_at_errors(prefix: str) -> Iterator[None]:
    """Say what is wrong and exit with 2."""
    try:
        yield
    except Exception as error:
        what = in_plain_words(error) if isinstance(error, HydraException) else error
        log.error("%s: %s", prefix, what)
        raise SystemExit(2) from error


def check_here(cfg: DictConfig) -> None:
    """Raise `ConfigError` for what this machine does not have."""
    from hardneg.preflight.machine import check_machine  # this imports torch, so slips are answered before

    check_machine(cfg)


def check_inputs(jobs: list[Job]) -> None:
    """Read the jobs' data, each set once; a broken line ends the sweep here."""
    from hardneg.preflight.data import ReadOnce, data_key

    reader = ReadOnce()
    for job in track(sorted(jobs, key=lambda job: data_key(job.cfg.get("data"))), "read data"):
        with stopping_at_errors(f"{' '.join(job.overrides)} cannot run, so no job was started"):
            reader.check(job.cfg)


def fixed(overrides: list[str]) -> list[str]:
    """The words that are the same for all jobs, where a sweeper chooses the values of the others itself."""
    return [override.input_line or "" for override in parsed(overrides) if not override.is_sweep_override()]


def check_launcher(launcher: DictConfig) -> None:
    """Raise `ConfigError` for a number of processes that the launcher cannot start."""
    count = launcher.get("n_jobs", 1)
    if (
        not isinstance(count, int)
        or count == 0
        or (count < 0 and not str(launcher._target_).endswith(".JoblibLauncher"))
    ):
        raise ConfigError(f"hydra.launcher.n_jobs={count}: must be a whole number, 1 or more")


def check_job(cfg: DictConfig, launcher: DictConfig) -> None:
    """Raise `ConfigError` for what `check` refuses, for missing data, and for more devices than can be started."""
    check_config(cfg, check_places)
    if not str(launcher._target_).endswith(".SlurmLauncher"):  # its jobs run on another machine
        check_here(cfg)
    if "trainer" not in cfg:
        return
    devices, nodes, kind = cfg.trainer.devices, cfg.trainer.num_nodes, str(launcher._target_).rsplit(".", 1)[-1]
    if kind == "SlurmLauncher":  # SLURM starts the ranks, Lightning finds itself among them
        asked = {"tasks_per_node": devices, "nodes": nodes}
        wrong = [f"hydra.launcher.{key}={value}" for key, value in asked.items() if launcher[key] != value]
        if wrong and devices != "auto":
            raise ConfigError(f"trainer.devices={devices} on {nodes} nodes needs {' '.join(wrong)}")
    elif nodes > 1 or (kind != "Processes" and devices not in (1, "auto")):
        raise ConfigError(
            f"trainer.devices={devices} trainer.num_nodes={nodes} under -m: Lightning would start the whole sweep once"
            " per rank; for more devices use hydra/launcher=processes, for more nodes hydra/launcher=submitit_slurm"
        )
