"""What can be known to fail before it costs anything: here by the words alone, in `parts` by what they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hardneg.config import classes, composition
from hardneg.errors import ConfigError


def check_config(cfg: DictConfig) -> None:
    """Raise `ConfigError` for a config that cannot work; makes only what is cheap to make, loads no model."""
    node = check_words(cfg)
    from hardneg.preflight.parts import check_parts  # which imports what the parts are made of

    check_parts(node)


def check_words(cfg: DictConfig) -> dict[str, Any]:
    """Return the config as plain values; raise `ConfigError` for what is wrong whatever the parts may be.

    Imports neither torch nor what is built on it, so that a slip is told at once.
    """
    try:
        if missing := composition.missing_keys(cfg):
            raise ConfigError(f"no value for {', '.join(missing)}; give it on the command line, as {missing[0]}=VALUE")
        node = classes.plain(cfg)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the config cannot be resolved: {error}") from error
    composition.check_keys(node, command_of(node))
    for path, inner in classes.targets(node):
        classes.check_allowed(path, inner)
    check_paths(node)
    check_computing(node)
    checks = {
        "negatives": check_chosen,
        "trainer": check_numbers,
        "evaluate": check_evaluation,
        "rebuild": check_index,
    }
    for key, look in checks.items():
        if key in node:
            look(node)
    return node


def command_of(node: dict[str, Any]) -> str:
    """Tell by its keys which command a config is for: in a sweep's check nothing else says so."""
    marks = {"remine": "train", "loss": "train_teacher", "export": "mine", "share": "probe"}
    marks |= {"rebuild": "index", "sample": "check"}
    return next((command for key, command in marks.items() if key in node), "evaluate")


def check_paths(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a checkpoint or an index that is not there."""
    # A run that goes on no longer reads what it started from.
    key = "ckpt_path" if node.get("ckpt_path") else "init_from"
    if node.get(key) and not Path(node[key]).is_file():
        raise ConfigError(f"{key}={node[key]}: there is no such file")
    if node.get("from_index") and not Path(node["from_index"]).is_dir():
        raise ConfigError(f"from_index={node['from_index']}: there is no such folder")


def check_chosen(node: dict[str, Any]) -> None:
    """Raise `ConfigError` if no source of negatives is chosen."""
    if not node["negatives"]:
        raise ConfigError("negatives=[] leaves the loss nothing to push away; choose one, as in negatives=in_batch")


def check_numbers(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a length of the training that is no whole number."""
    for key in ("max_epochs", "max_steps", "accumulate_grad_batches"):
        if not isinstance(node["trainer"].get(key), int | None):
            raise ConfigError(f"trainer.{key}={node['trainer'][key]!r} must be a whole number")
    check_precision(node)


PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true")
SHORT = ("32", "bf16", "16")  # as Lightning has them too
WHY_NOT = {
    "64-true": "losses and scores are computed in float32, so it would cost twice the time and give no more digits",
    "16-true": "Adam's moments and its epsilon of 1e-8 leave float16's range, and weights become NaN",
}
WHY_NOT["64"] = WHY_NOT["64-true"]


def check_computing(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a type that a model which is not trained would not compute in, but in float32."""
    parts = {"": node, **{f"{path}.": inner for path, inner in classes.targets(node) if path != "trainer"}}
    for path, part in parts.items():
        precision = str(part.get("precision") or "auto")
        if precision not in (*PRECISIONS[:-1], *SHORT):
            raise ConfigError(
                f"{path}precision={precision} is for training at most; what only embeds or scores takes one of"
                f" {', '.join(PRECISIONS[:-1])}"
            )


def check_precision(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a computing type in which training does not work."""
    trainer = node["trainer"]
    precision = str(trainer.get("precision", "auto"))
    if precision not in (*PRECISIONS, *SHORT):
        why = WHY_NOT.get(precision)
        raise ConfigError(
            f"trainer.precision={precision} {f'is not trained in: {why}' if why else 'is none'}; take one of"
            f" {', '.join(PRECISIONS)}"
        )
    if precision in ("16", "16-mixed") and trainer.get("accelerator") == "cpu":
        raise ConfigError(
            f"trainer.precision={precision} computes in float16, which takes a GPU; on a CPU take bf16-mixed or 32-true"
        )


def check_evaluation(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for metrics that we do not have or that look deeper than the ranking."""
    metrics, depth = node["evaluate"]["metrics"], node["evaluate"]["depth"]
    from hardneg.retrieval.metrics import check as check_metrics

    check_metrics(metrics)
    if depth < (deepest := max(int(name.split("@")[1]) for name in metrics)):
        raise ConfigError(f"evaluate.depth={depth} is too shallow for a metric at {deepest}")


def check_index(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for builds that would be kept or removed in a way that nobody can want."""
    if node["rebuild"] and not node["switch"]:
        raise ConfigError("rebuild=true replaces builds that are not trusted; leave switch=true")
    if node["keep"] < 1:
        raise ConfigError(f"keep={node['keep']} must be 1 or more")


def check_data(cfg: DictConfig) -> None:
    """Raise `ConfigError` for data that are not there."""
    data = cfg.get("data") or {}  # hardneg check may have none
    for node in (data, *(data.get("sets") or {}).values()):
        if node.get("path") and not Path(node.path).expanduser().exists():
            raise ConfigError(f"data.path={node.path}: there is no such file or folder")
