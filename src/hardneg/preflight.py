"""What can be known to fail before it costs anything: checked before a job, and all jobs before a sweep."""

from __future__ import annotations

import itertools
import logging
import sys
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

from hardneg import checkpoint, configs
from hardneg.checks import check_combination, check_pairs, check_sources
from hardneg.errors import ConfigError
from hardneg.retrieval.metrics import check as check_metrics

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
    checks = {"optimizer": check_training, "evaluate": check_evaluation, "negatives": check_sources}
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
    """Raise `ConfigError` for a checkpoint that is not there, or that training cannot go on from."""
    # A run that goes on no longer reads what it started from.
    key = "ckpt_path" if node.get("ckpt_path") else "init_from"
    if node.get(key) and not Path(node[key]).is_file():
        raise ConfigError(f"{key}={node[key]}: there is no such file")
    if node.get("ckpt_path") and "loss" in node:
        checkpoint.check_resumable(node["ckpt_path"])


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
    """Check every job of a sweep before the first one starts."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compose and check all jobs; a bad one ends the sweep here (Hydra would turn an exception into a warning)."""
        job: list[str] = []
        try:
            jobs = expand(list(config.hydra.overrides.task))
            for job in jobs:
                check_job(compose(config.hydra.job.config_name, job))
        except Exception as error:
            log.error("%s cannot run, so no job was started: %s", " ".join(job) or "the sweep", error)
            sys.exit(2)
        log.info("%d jobs checked", len(jobs))


def check_job(cfg: DictConfig) -> None:
    """Raise `ConfigError` for what `check` refuses, and for what cannot be one job of a sweep."""
    check(cfg)
    if "trainer" in cfg and cfg.trainer.devices not in (1, "auto"):
        raise ConfigError(
            "trainer.devices > 1 under -m would start the whole sweep once per device; run the jobs one by one"
        )


def expand(overrides: list[str]) -> list[list[str]]:
    """Turn the sweep's overrides into one list of overrides a job, as Hydra's basic sweeper does."""
    choices = []
    loader = GlobalHydra.instance().config_loader()  # knows the options that glob(*) stands for
    for override in OverridesParser.create(loader).parse_overrides(overrides):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([override.input_line or ""])
    return [list(job) for job in itertools.product(*choices)]


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose one job's config as Hydra will."""
    cfg = GlobalHydra.instance().hydra.compose_config(  # type: ignore[union-attr]
        config_name=config_name, overrides=overrides, run_mode=RunMode.RUN, with_log_configuration=False
    )
    with open_dict(cfg):
        cfg.pop("hydra", None)
    OmegaConf.set_readonly(cfg, True)
    return cfg
