"""Before the first job: all jobs of a sweep composed and checked, and a single run given a folder of its own."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from hardneg.config.composition import as_in_a_job
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config, check_data, check_words
from hardneg.preflight.writable import check_writable
from hardneg.runs.folder import new_folder, refuse_used
from hardneg.runs.job import first_rank
from hardneg.sweep.jobs import Job, announce, check_folders, expand
from hardneg.sweep.jobs import compose as compose_job
from hardneg.system.progress import track

log = logging.getLogger(__name__)


class Preflight(Callback):
    """Check every job of a sweep before the first one starts, and a single run before it has a folder.

    Leaves by `SystemExit`: Hydra would turn any other exception into a warning and go on.
    """

    sweep: Path | None = None  # the folder of the last sweep that passed, for the table at its end

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a config that cannot work, and a folder with another run's results; take a folder of its own."""
        training = str(config.hydra.job.config_name).startswith("train")
        if not OmegaConf.is_missing(config.hydra.job, "num"):  # a sweep's job goes on with what is there
            return
        named = "${now:" not in str(OmegaConf.to_container(config.hydra.run, resolve=False))
        with stopping_at_errors(), as_in_a_job(config, "hydra.run.dir"):
            refuse_used(Path(config.hydra.run.dir), config.ckpt_path if training else None)
            cfg = copy.deepcopy(config)
            with open_dict(cfg):
                cfg.pop("hydra")
            check_words(cfg)
            check_data(cfg)
            check_writable(config.hydra.run.dir, "hydra.run.dir")
            check_config(cfg)
            check_here(cfg)
            if not named and first_rank():
                folder = str(new_folder(Path(config.hydra.run.dir)))
                with open_dict(config.hydra.run):
                    config.hydra.run.dir = folder

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check all jobs and their folders; a bad one ends the sweep here."""
        folder = Path(config.hydra.sweep.dir)  # first: jobs take over the time in it, as it was found here
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
        Preflight.sweep = folder
        log.info("%d jobs checked", len(checked))


@contextmanager
def stopping_at_errors(prefix: str = "") -> Iterator[None]:
    """Say what is wrong and exit with 2."""
    try:
        yield
    except Exception as error:
        log.error("%s", f"{prefix}: {error}" if prefix else f"error: {error}")
        raise SystemExit(2) from error


def check_here(cfg: DictConfig) -> None:
    """Raise `ConfigError` for what this machine does not have."""
    from hardneg.preflight.machine import check_machine  # which imports torch: slips are told before

    check_machine(cfg)


def check_inputs(jobs: list[Job]) -> None:
    """Read what the jobs read, each data set once; a broken line ends the sweep here."""
    from hardneg.preflight.data import ReadOnce, data_key

    reader = ReadOnce()
    for job in track(sorted(jobs, key=lambda job: data_key(job.cfg.get("data"))), "read data"):
        with stopping_at_errors(f"{' '.join(job.overrides)} cannot run, so no job was started"):
            reader.check(job.cfg)


def fixed(overrides: list[str]) -> list[str]:
    """The words that are the same for all jobs, where a sweeper chooses the values of the others itself."""
    parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(overrides)
    return [override.input_line or "" for override in parsed if not override.is_sweep_override()]


def check_launcher(launcher: DictConfig) -> None:
    """Raise `ConfigError` for a number of processes that is none."""
    count = launcher.get("n_jobs", 1)
    if (
        not isinstance(count, int)
        or count == 0
        or (count < 0 and not str(launcher._target_).endswith(".JoblibLauncher"))
    ):
        raise ConfigError(f"hydra.launcher.n_jobs={count}: must be a whole number from 1 on")


def check_job(cfg: DictConfig, launcher: DictConfig) -> None:
    """Raise `ConfigError` for what `check` refuses, for data not there, and for more devices than can be started."""
    check_words(cfg)
    check_data(cfg)
    check_config(cfg)
    if not str(launcher._target_).endswith(".SlurmLauncher"):  # where its jobs run is another machine
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
