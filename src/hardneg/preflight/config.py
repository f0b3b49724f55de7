"""What can be known to fail before it costs anything: here by the config alone, in `parts` by what it makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hardneg.config import classes, composition
from hardneg.config.command_words import command_line, to_type
from hardneg.config.package_lines import check_package_lines
from hardneg.data.other_sets import resolved, splits_of
from hardneg.data.readers.folders import is_hub_name, nothing_at
from hardneg.errors import ConfigError
from hardneg.preflight.computing_type import check_computing, check_precision
from hardneg.preflight.rates import check_rates
from hardneg.preflight.sets import check_sets_named
from hardneg.preflight.trainer_arguments import check_trainer
from hardneg.runs.folder import checkpoint_of


def check_config(cfg: DictConfig, *more: Callable[[DictConfig], None]) -> None:
    """Raise `ConfigError` for a config that cannot work.

    Makes only what is cheap to make, loads no model. `more` are checks between those of the config itself and those of
    its parts.
    """
    node = check_words(cfg)
    for check in more:
        check(cfg)
    from hardneg.preflight.parts import check_parts  # which imports what the parts are made of

    check_parts(node)


def check_words(cfg: DictConfig) -> dict[str, Any]:
    """Return the config as plain values; raise `ConfigError` for what needs no part to be seen as wrong.

    Imports neither torch nor what is built on it, so that the answer to a slip comes at once.
    """
    try:
        composition.check_given(cfg)
        check_package_lines(cfg)
        node = resolved(classes.plain(cfg))
    except OmegaConfBaseException as error:
        raise ConfigError(f"the config cannot be resolved: {error}") from error
    composition.check_keys(node, command_of(node))
    for path, inner in classes.targets(node):
        classes.check_allowed(path, inner)
    check_rates(cfg)
    check_paths(node)
    check_computing(node)
    checks = {
        "negatives": check_chosen,
        "loss": check_read,
        "trainer": check_trainer,
        "evaluate": check_evaluation,
        "rebuild": check_index,
    }
    for key, look in checks.items():
        if key in node:
            look(node)
    if "loss" in node and "data" in node:
        check_sets_named(node)
    if "trainer" in node:
        check_precision(node)
    composition.check_numbers(node, command_of(node))
    return node


def command_of(node: dict[str, Any]) -> str:
    """Tell by its keys which command a config is for: while a sweep is checked nothing else tells."""
    marks = {"remine": "train", "loss": "train_teacher", "export": "mine", "share": "probe"}
    marks |= {"rebuild": "index", "sample": "check"}
    return next((command for key, command in marks.items() if key in node), "evaluate")


def check_paths(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a checkpoint or an index that is not there."""
    # A run that goes on no longer reads what it started from.
    key = "ckpt_path" if node.get("ckpt_path") else "init_from"
    trains = command_of(node).startswith("train")
    if node.get(key) and not (path := Path(node[key])).is_file():
        if not path.is_dir():
            raise ConfigError(f"{key}={path}: there is no such file or run folder")
        if trains and key == "ckpt_path":
            raise ConfigError(
                f"ckpt_path={path} is a folder: give a checkpoint in it, or resume the run with"
                f" {command_line('resume', path)}; to start from its weights, {to_type('init_from', path)}"
            )
        try:
            checkpoint_of(path)
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from error
    if node.get("from_index"):
        from hardneg.serving.index_there import check_complete

        check_complete(node["from_index"], "from_index=")


def check_chosen(node: dict[str, Any]) -> None:
    """Raise `ConfigError` if no source of negatives is chosen."""
    if not node["negatives"]:
        raise ConfigError("negatives=[] leaves the loss nothing to push away; choose one, as in negatives=in_batch")


def check_read(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a loss that reads a source of negatives which the run does not have."""
    there = list(node["negatives"])
    for name, loss in (node["loss"] or {}).items():
        asked = (loss or {}).get("sources")
        if isinstance(asked, list) and (unknown := sorted(set(map(str, asked)) - set(there))):
            raise ConfigError(
                f"loss.{name}.sources names {', '.join(unknown)}, none of negatives=[{','.join(there)}]; choose among"
                " these, add it to negatives, or null for all"
            )


def check_evaluation(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for unknown metrics, for a ranking too shallow for them, and for intervals below 1."""
    metrics, depth = node["evaluate"]["metrics"], node["evaluate"]["depth"]
    for key in ("every_n_epochs", "every_n_steps"):
        every = node["evaluate"].get(key, 1)
        if every is None and key == "every_n_steps":
            continue
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError(f"evaluate.{key}={every!r} must be a whole number, 1 or more")
    from hardneg.retrieval.metrics import check as check_metrics
    from hardneg.retrieval.metrics import deepest

    if depth is None:
        raise ConfigError("evaluate.depth=null must be a whole number, as deep as the deepest metric looks")
    check_metrics(metrics)
    check_test_sets(node)
    if depth < (needed := deepest(metrics)):
        raise ConfigError(f"evaluate.depth={depth} is too shallow for a metric at {needed}")


def check_test_sets(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for test sets with one name, and where there are none but some are needed."""
    named = node.get("split")
    splits = splits_of(named.get("test") if isinstance(named, dict) else named)
    if not splits and (not isinstance(named, dict) or node["evaluate"].get("also")):
        raise ConfigError("split.test=null: evaluate.also comes beside the run's own test set; name its split")
    if len(splits) > 1 and (both := set(splits) & set(node["evaluate"].get("also") or {})):
        raise ConfigError(
            f"evaluate.also.{min(both)} has the name of a split of the run's own data; choose another name"
        )


def check_index(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for settings by which builds would be kept or removed in a way that nobody can want."""
    if node["rebuild"] and not node["switch"]:
        raise ConfigError("rebuild=true replaces builds that are not trusted; leave switch=true")
    if node["keep"] < 1:
        raise ConfigError(f"keep={node['keep']} must be 1 or more")


def check_places(cfg: DictConfig) -> None:
    """Raise `ConfigError` for data that are not there, and for an index that is to be looked at and is not."""
    data = cfg.get("data") or {}  # hardneg check may have none
    whole = resolved(classes.plain(cfg))
    if command_of(whole) == "check":
        from hardneg.serving.index_there import check_build

        check_build(whole["path"], whole["build"])
    for node in (data, *(data.get("sets") or {}).values()):
        if node.get("path") and not Path(node.path).expanduser().exists():
            if str(node.get("_target_")).endswith(".Table") and is_hub_name(node.path):
                continue
            raise ConfigError(f"data.path={node.path}: {nothing_at(Path(node.path).expanduser())}")
