"""What can be known to fail before it costs anything: checked before a job, and all jobs before a sweep."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from hardneg import checkpoint, configs
from hardneg.checks import check_combination, check_pairs, check_sources
from hardneg.errors import ConfigError
from hardneg.job import first_rank, new_folder, refuse_used
from hardneg.retrieval.metrics import check as check_metrics
from hardneg.runlog.artifacts import check_kinds
from hardneg.sweep.plan import announce, check_folders, expand
from hardneg.sweep.plan import compose as compose_job

log = logging.getLogger(__name__)


def check(cfg: DictConfig) -> None:
    """Raise `ConfigError` for a config that cannot work; makes only what is cheap to make, loads no model."""
    try:
        if missing := configs.missing_keys(cfg):
            raise ConfigError(f"no value for {', '.join(missing)}; give it on the command line, as {missing[0]}=VALUE")
        node = configs.plain(cfg)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the config cannot be resolved: {error}") from error
    configs.check_keys(node, command_of(node))
    for path, inner in configs.targets(node):
        configs.check_target(path, inner)
    for key in ("data", "encoder", "schedule", "search", "index"):
        if key in node:
            configs.build(node[key])
    check_checkpoint(node)
    check_loggers(node.get("logger") or {})
    checks = {"optimizer": check_training, "evaluate": check_evaluation, "negatives": check_sources}
    checks["rebuild"] = check_index
    last = check_combination if "remine" in node else check_pairs
    for key, look in {**checks, "loss": last}.items():
        if key in node:
            look(node)


def command_of(node: dict[str, Any]) -> str:
    """Tell by its keys which command a config is for: in a sweep's check nothing else says so."""
    marks = {"remine": "train", "loss": "train_teacher", "export": "mine", "share": "probe"}
    marks |= {"rebuild": "index", "sample": "check"}
    return next((command for key, command in marks.items() if key in node), "evaluate")


def check_checkpoint(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a checkpoint or an index that is not there, or that training cannot go on from."""
    # A run that goes on no longer reads what it started from.
    key = "ckpt_path" if node.get("ckpt_path") else "init_from"
    if node.get(key) and not Path(node[key]).is_file():
        raise ConfigError(f"{key}={node[key]}: there is no such file")
    if node.get("from_index") and not Path(node["from_index"]).is_dir():
        raise ConfigError(f"from_index={node['from_index']}: there is no such folder")
    if node.get("ckpt_path") and "loss" in node:
        checkpoint.check_resumable(node["ckpt_path"])


def check_loggers(loggers: dict[str, Any]) -> None:
    """Raise `ConfigError` for artifacts that W&B is not given."""
    for name, logger in loggers.items():
        if logger and "artifacts" in logger:
            check_kinds(logger["artifacts"], f"logger.{name}.artifacts")


def check_index(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for builds that would be kept or removed in a way that nobody can want."""
    if node["rebuild"] and not node["switch"]:
        raise ConfigError("rebuild=true replaces builds that are not trusted; leave switch=true")
    if node["keep"] < 1:
        raise ConfigError(f"keep={node['keep']} must be 1 or more")


def check_evaluation(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for metrics that we do not have or that look deeper than the ranking."""
    metrics, depth = node["evaluate"]["metrics"], node["evaluate"]["depth"]
    check_metrics(metrics)
    if depth < (deepest := max(int(name.split("@")[1]) for name in metrics)):
        raise ConfigError(f"evaluate.depth={depth} is too shallow for a metric at {deepest}")


def check_training(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for arguments that the optimizer or Lightning's Trainer refuses."""
    try:
        configs.build(node["optimizer"])([torch.nn.Parameter(torch.zeros(1))])
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        given = ", ".join(f"{key}={value}" for key, value in node["optimizer"].items() if not key.startswith("_"))
        raise ConfigError(f"optimizer with {given}: {error}") from error
    for key in ("max_epochs", "max_steps", "accumulate_grad_batches"):
        if not isinstance(node["trainer"].get(key), int | None):
            raise ConfigError(f"trainer.{key}={node['trainer'][key]!r} must be a whole number")
    # Only what it checks itself: devices and precision are resolved when the run starts.
    plain = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto", "precision": "32-true"}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    with without_messages("lightning.pytorch"):
        configs.build({**node["trainer"], **plain, **quiet, "enable_model_summary": False})


@contextmanager
def without_messages(name: str) -> Iterator[None]:
    """Keep a logger quiet."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


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
        with stopping_at_errors():
            refuse_used(Path(config.hydra.run.dir), config.ckpt_path if training else None)
            cfg = copy.deepcopy(config)
            with open_dict(cfg):
                cfg.pop("hydra")
            check(cfg)
            check_data(cfg)
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
            listed = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
            jobs = expand([*listed, *words] if chosen else fixed(words))
        checked = []
        for number, job in enumerate(tqdm(jobs, desc="check jobs", leave=False, disable=None)):
            with stopping_at_errors(f"{' '.join(job)} cannot run, so no job was started"):
                checked.append(compose_job(config, job, number))
                check_job(checked[-1].cfg, config.hydra.launcher)
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


def check_data(cfg: DictConfig) -> None:
    """Raise `ConfigError` for data that are not there."""
    data = cfg.get("data") or {}  # hardneg check may have none
    for node in (data, *(data.get("sets") or {}).values()):
        if node.get("path") and not Path(node.path).expanduser().exists():
            raise ConfigError(f"data.path={node.path}: there is no such file or folder")


def check_job(cfg: DictConfig, launcher: DictConfig) -> None:
    """Raise `ConfigError` for what `check` refuses, for data not there, and for more devices than can be started."""
    check(cfg)
    check_data(cfg)
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


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config on its own, as Hydra will."""
    cfg = GlobalHydra.instance().hydra.compose_config(  # type: ignore[union-attr]
        config_name=config_name, overrides=overrides, run_mode=RunMode.RUN, with_log_configuration=False
    )
    with open_dict(cfg):
        cfg.pop("hydra", None)
    OmegaConf.set_readonly(cfg, True)
    return cfg
