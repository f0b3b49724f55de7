"""Whether what a run waits for on the dev split is measured at all, and over which documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping

from hardneg.errors import ConfigError
from hardneg.preflight.made import Made
from hardneg.retrieval.metrics import names_of
from hardneg.training.dev_subset import SubsetSize
from hardneg.training.schedule import Plateau

DEV = "val/"  # begins the names of the dev split's metrics; a set of several has its name between


def check_dev_metrics(made: Made) -> None:
    """Raise `ConfigError` for a schedule, a best checkpoint or an end that waits for a metric which will not come."""
    node = made.node
    if isinstance(made.alone["schedule"], Plateau) and node["split"]["dev"] is None:
        raise ConfigError("schedule=plateau follows the dev split, and split.dev is null; choose schedule=constant")
    names = names_of(node["evaluate"]["metrics"])
    if (best := node["evaluate"]["best"]) not in names:
        raise ConfigError(
            f"evaluate.best={best} is not measured; add it to evaluate.metrics, which has {', '.join(names)}"
        )
    check_early_stopping(node, made.callbacks, names)


def check_early_stopping(node: dict[str, Any], callbacks: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise `ConfigError` for a callback that waits for a dev metric which the run does not measure.

    `names` are the metrics of `evaluate.metrics`. Without this Lightning would say so after the first evaluation.
    """
    for name, one in callbacks.items():
        if not isinstance(one, EarlyStopping) or not one.monitor.startswith(DEV):
            continue
        if not any(f"/{one.monitor.removeprefix(DEV)}".endswith(f"/{metric}") for metric in names):
            raise ConfigError(
                f"callbacks.{name}.monitor={one.monitor} is not measured; add its metric to evaluate.metrics, or take"
                f" one of {', '.join(DEV + metric for metric in names)}"
            )
        if node["split"]["dev"] is None and not node.get("debug"):  # a trial leaves dev out, whatever is stopped by it
            raise ConfigError(f"callbacks.{name} follows the dev split, and split.dev is null; leave it out")


def check_subset(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for dev documents that cannot be chosen as asked."""
    documents, subset = node["evaluate"]["documents"], node["evaluate"]["subset"]
    if documents not in ("all", "subset"):
        raise ConfigError(f"evaluate.documents={documents!r} must be all or subset (see evaluate.subset)")
    known = {one.name for one in fields(SubsetSize)}
    if unknown := (subset or {}).keys() - known:
        raise ConfigError(f"evaluate.subset.{min(unknown)} is unknown; it has {', '.join(sorted(known))}")
    SubsetSize(**(subset or {}))
    if not isinstance(compares := node["evaluate"]["compare_with_all"], bool):
        raise ConfigError(f"evaluate.compare_with_all={compares!r} must be true or false")
    if documents == "subset" and node["split"]["dev"] is None:
        raise ConfigError("evaluate.documents=subset is of the dev split, and split.dev is null; leave it at all")
