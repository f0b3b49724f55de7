"""What can be known to fail before it costs anything, by making the parts that are cheap to make."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardneg.config import classes
from hardneg.config.refused_arguments import lightnings
from hardneg.config.run_identity import AUTO
from hardneg.encoders import checkpoint
from hardneg.encoders.base import OF_STATIC, EncoderRecipe
from hardneg.encoders.cross_encoder import PairRecipe
from hardneg.encoders.file_hashes import check_intact
from hardneg.encoders.pretrained import name_of
from hardneg.errors import ConfigError, UserError
from hardneg.preflight.combinations import check_combination, check_pairs, check_sources
from hardneg.preflight.made import Made
from hardneg.preflight.optimizer import check_attached, check_installed, check_optimizer
from hardneg.preflight.rates import is_rate
from hardneg.preflight.trainer_arguments import check_compiled_prompt
from hardneg.retrieval.metrics import resolve
from hardneg.runlog.artifacts import check_kinds
from hardneg.runlog.wandb_run import WandbRun
from hardneg.system.log_level import at_level
from hardneg.training.parameter_groups import optimizer_alone


def check_parts(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for parts that refuse their settings, or that cannot work together."""
    node = with_rate(node)
    for path, inner in classes.targets(node):
        if path == "optimizer":
            check_installed(inner)
            inner = optimizer_alone(inner)
        if not path.startswith("evaluate.metrics["):  # they take more arguments than the config gives
            classes.check_target(path, inner)
    made = Made(node)
    alone = made.alone
    if node.get("batches"):
        classes.build(node["batches"])
    classes.build_group(node.get("pairs"), "pairs")
    check_evaluated(node.get("evaluate") or {})
    check_models(node, alone)
    if "encoder" in alone:
        check_compiled_encoder(node, alone["encoder"])
    check_checkpoints(node)
    if node.get("ckpt_path") and "loss" in node:
        checkpoint.check_resumable(node["ckpt_path"])
    check_loggers(node.get("logger") or {})
    if "optimizer" in node:
        check_training(node, alone["schedule"])
    if "loss" in node:
        (check_combination if "remine" in node else check_pairs)(made)  # each begins with the sources
    elif "negatives" in node:
        check_sources(made)


def with_rate(node: dict[str, Any]) -> dict[str, Any]:
    """Return the config with the rate of a short run where it depends on the run's length, which is not known yet.

    Raises `ConfigError` for an encoder that has no such rate.
    """
    if (node.get("encoder") or {}).get("lr") != AUTO or "optimizer" not in node:
        return node
    made = classes.target_object(node["encoder"])
    if not getattr(made, "knows_its_rate", False):
        raise ConfigError(OF_STATIC)
    return {**node, "optimizer": _with_number(node["optimizer"], classes.build(node["encoder"]).learning_rate(1))}


def _with_number(node: dict[str, Any], rate: float) -> dict[str, Any]:
    """The settings with this rate wherever they refer to `encoder.lr`, which is auto."""
    return {
        key: _with_number(value, rate) if isinstance(value, dict) else rate if value == AUTO and is_rate(key) else value
        for key, value in node.items()
    }


def check_evaluated(evaluate: dict[str, Any]) -> None:
    """Raise `ConfigError` for metrics, a baseline or test sets that refuse their settings: not at the run's end."""
    if "metrics" in evaluate:
        resolve(evaluate["metrics"])
    parts = {f"also.{name}": one for name, one in (evaluate.get("also") or {}).items()}
    for name, one in {**parts, "bm25": evaluate.get("bm25")}.items():
        if one:
            try:
                classes.build(one)
            except ConfigError as error:
                raise ConfigError(f"evaluate.{name}: {error}") from error


def check_models(node: dict[str, Any], made: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an encoder, of whatever part, whose folder is not there or does not fit its settings.

    `made` are the parts, by path, that need not be made again.
    """
    for path, inner in classes.targets(node):
        if path == "encoder" and node.get("ckpt_path") and "loss" not in node:
            continue  # the encoder is the checkpoint's
        kind = classes.target_object(inner)
        if isinstance(kind, type) and issubclass(kind, EncoderRecipe | PairRecipe):
            try:
                (made[path] if path in made else classes.build(inner)).check_model()
            except UserError as error:
                raise ConfigError(str(error) if path == "encoder" else f"{path}: {error}") from error


def check_compiled_encoder(node: dict[str, Any], recipe: Any) -> None:
    """Raise `ConfigError` where the folder of the encoder's model shows that it cannot run compiled."""
    if not (node.get("trainer") or {}).get("compile"):
        return
    if (model := getattr(recipe, "model", None)) and Path(name_of(model)).is_dir():
        with at_level("hardneg", logging.ERROR):  # the run will say so
            recipe = recipe.resolved()
        check_compiled_prompt(recipe.pools_prompt)


def check_checkpoints(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a damaged checkpoint, which a run would notice only after mining, or never."""
    key = "ckpt_path" if node.get("ckpt_path") else "init_from"  # a resumed run no longer reads init_from
    paths = {key: node.get(key)} | {
        f"{path}.ckpt_path": inner.get("ckpt_path") for path, inner in classes.targets(node)
    }
    for name, value in paths.items():
        if value:
            check_intact(Path(value), name)


def check_loggers(loggers: dict[str, Any]) -> None:
    """Raise `ConfigError` for a logger whose package is not installed, and for artifacts that W&B is not given."""
    for name, logger in loggers.items():
        made = classes.target_object(logger) if "_target_" in (logger or {}) else None
        if check := getattr(made, "check", None):
            check()
        if made is WandbRun and "artifacts" in logger:
            check_kinds(logger["artifacts"], f"logger.{name}.artifacts")


def check_training(node: dict[str, Any], schedule: Any) -> None:
    """Raise `ConfigError` for arguments that the optimizer or Lightning's Trainer refuses."""
    check_optimizer(node["optimizer"])
    check_attached(node["optimizer"], schedule)
    # Only what it checks itself: devices and precision are resolved when the run starts.
    plain = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto", "precision": "32-true"}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    with at_level("lightning.pytorch", logging.ERROR):
        classes.build({**lightnings(node["trainer"]), **plain, **quiet, "enable_model_summary": False})
