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
from lightning.pytorch.callbacks import WeightAveraging
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from hardneg import checkpoint, configs
from hardneg.alarms import Thresholds
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss
from hardneg.negatives.base import OfflineSource, OnlineSource
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.stored import Stored
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
    for key in ("data", "encoder", "schedule", "search"):
        if key in node:
            configs.build(node[key])
    if node.get("ckpt_path") and not Path(node["ckpt_path"]).is_file():
        raise ConfigError(f"ckpt_path={node['ckpt_path']}: there is no such file")
    if node.get("ckpt_path") and "loss" in node:
        checkpoint.check_resumable(node["ckpt_path"])
    checks = {"optimizer": check_training, "evaluate": check_evaluation, "negatives": check_sources}
    last = check_combination if "remine" in node else check_pairs
    for key, look in {**checks, "loss": last}.items():
        if key in node:
            look(node)


def command_of(node: dict[str, Any]) -> str:
    """Tell by its keys which command a config is for: in a sweep's check nothing else says so."""
    marks = {"remine": "train", "loss": "train_teacher", "export": "mine", "share": "probe"}
    return next((command for key, command in marks.items() if key in node), "evaluate")


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


def check_sources(node: dict[str, Any]) -> dict[str, Any]:
    """Return the sources; raise `ConfigError` if there are none, or for a filter that they cannot feed."""
    sources = configs.build_group(node["negatives"], "negatives")
    if not sources:
        raise ConfigError("negatives=[] leaves the loss nothing to push away; choose one, as in negatives=in_batch")
    for name, source in sources.items():
        if not isinstance(source, OfflineSource | OnlineSource):
            raise ConfigError(f"negatives.{name} is a {type(source).__name__}, not a negative source")
    if node.get("teacher") and not any(source.has_teacher for source in sources.values()):
        raise ConfigError(
            f"teacher is given, but none of negatives=[{','.join(sources)}] has lists that it could score; add one, as"
            " in negatives=[in_batch,bm25]"
        )
    averaged = [name for name, source in sources.items() if needs_average(source)]
    if averaged and not any(isinstance(one, WeightAveraging) for one in callbacks_of(node)):
        raise ConfigError(
            f"negatives.{averaged[0]} mines with weights=average, and nothing keeps a moving average here; in hardneg"
            " train add callbacks=[ema], elsewhere take weights=current"
        )
    for name, rule in configs.build_group(node["filter"], "filter").items():
        if not isinstance(rule, CandidateFilter):
            raise ConfigError(f"filter.{name} is a {type(rule).__name__}, not a filter")
        if unknown := set(getattr(rule, "sources", ())) - {*sources, "in_batch"}:
            raise ConfigError(
                f"filter.{name}.sources names {', '.join(sorted(unknown))}, none of negatives=[{','.join(sources)}]"
            )
        if rule.needs_teacher and not any(source.has_teacher for source in sources.values()):
            raise ConfigError(
                f"filter={name} reads teacher scores, but none of negatives=[{','.join(sources)}] has a teacher; give"
                " one, as in teacher=cross_encoder teacher.model=FOLDER, or leave the filter out"
            )
    return sources


def needs_average(source: Any) -> bool:
    """Whether a source mines with a moving average of the model."""
    return isinstance(source, Stored) and source.miner.needs_average


def callbacks_of(node: dict[str, Any]) -> list[Any]:
    """Make the callbacks that the config adds."""
    return list(configs.build_group(node.get("callbacks"), "callbacks").values())


def check_combination(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for parts that cannot work together."""
    sources = check_sources(node)
    check_remine(node["remine"])
    following = [name for name, source in sources.items() if getattr(source, "follows_model", False)]
    if node["remine"]["warmup_epochs"] and following == list(sources):
        raise ConfigError(
            f"remine.warmup_epochs={node['remine']['warmup_epochs']} trains without negatives={','.join(following)},"
            " and there are no others; add some, as in negatives=[in_batch,mined]"
        )
    check_mining(node, following)
    check_losses(configs.build_group(node["loss"], "loss"), sources)
    check_numbers(node)
    if node["batch_size"] < (2 if set(sources) == {"in_batch"} else 1):
        raise ConfigError(
            f"batch_size={node['batch_size']} leaves negatives=[{','.join(sources)}] none; use a larger batch_size"
        )


def check_mining(node: dict[str, Any], following: list[str]) -> None:
    """Raise `ConfigError` where the sources that follow the model would never mine, or not as asked."""
    Thresholds(**node["alarms"])
    warmup, epochs = node["remine"]["warmup_epochs"], node["trainer"]["max_epochs"]
    if following and epochs is not None and 0 <= epochs <= warmup:
        raise ConfigError(
            f"remine.warmup_epochs={warmup} leaves none of trainer.max_epochs={epochs} for negatives="
            f"{','.join(following)}; train longer or warm up less"
        )


def check_pairs(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for parts that cannot work together in training a cross-encoder."""
    sources = check_sources(node)
    if online := [name for name, source in sources.items() if isinstance(source, OnlineSource)]:
        raise ConfigError(
            f"negatives={','.join(online)} offers embeddings, and a cross-encoder has none; choose sources that name"
            " documents, as in negatives=[bm25,random]"
        )
    if following := [name for name, source in sources.items() if getattr(source, "follows_model", False)]:
        name = following[0]
        raise ConfigError(
            f"negatives={name} is mined with a dual encoder: give one, as negatives.{name}.miner.ckpt_path or"
            f" +encoder@negatives.{name}.miner.encoder=minilm"
        )
    check_losses(configs.build_group(node["loss"], "loss"), sources)
    if node["evaluate"]["bm25"] is None:
        raise ConfigError("evaluate.bm25 is what a cross-encoder ranks again; it cannot be null here")
    check_numbers(node)


def check_numbers(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for numbers that cannot be."""
    if (best := node["evaluate"]["best"]) not in node["evaluate"]["metrics"]:
        raise ConfigError(f"evaluate.best={best} is not measured; add it to evaluate.metrics")
    for key in ("batch_size", "seed", "num_workers"):
        if not isinstance(node[key], int) or node[key] < 0:
            raise ConfigError(f"{key}={node[key]!r} must be a whole number, 0 or more")


def check_remine(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for settings that cannot work."""
    for key, least in {"warmup_epochs": 0, "every_n_epochs": 1, "every_n_steps": 1, "keep_last": 2}.items():
        value = node[key]
        if value is None and key != "warmup_epochs":
            continue
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"remine.{key}={value!r} must be a whole number, {least} or more")


def check_losses(losses: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` for a loss that the chosen sources cannot feed."""
    if not losses:
        raise ConfigError("loss=[] leaves nothing to train on; choose at least one, as in loss=infonce")
    for name, loss in losses.items():
        if not isinstance(loss, Loss):
            raise ConfigError(f"loss.{name} is a {type(loss).__name__}, not a loss")
        if loss.needs_teacher and not any(source.has_teacher for source in sources.values()):
            raise ConfigError(
                f"loss={name} reads teacher scores, but none of negatives=[{','.join(sources)}] has them; add a source"
                " with a teacher, as in negatives=[in_batch,bm25] teacher=cross_encoder teacher.model=FOLDER, or choose"
                " another loss"
            )
        if loss.needs_reverse and not any(isinstance(source, InBatch) for source in sources.values()):
            raise ConfigError(
                f"loss.{name}.symmetric=true sets documents against the batch's queries and needs in_batch among"
                f" negatives=[{','.join(sources)}]; add it, or set loss.{name}.symmetric=false"
            )


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
