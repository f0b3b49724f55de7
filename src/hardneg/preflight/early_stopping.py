"""Whether what is to end a run early is measured at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping

from hardneg.config import classes
from hardneg.errors import ConfigError
from hardneg.preflight.beginnings import only_where_it_begins

DEV = "val/"  # begins the names of the dev split's metrics; a set of several has its name between


@only_where_it_begins
def check_early_stopping(node: dict[str, Any], names: Sequence[str]) -> None:
    """Raise `ConfigError` for a callback that waits for a dev metric which the run does not measure.

    `names` are the metrics of `evaluate.metrics`. Without this Lightning would say so after the first evaluation.
    """
    for name, one in classes.build_group(node.get("callbacks"), "callbacks").items():
        if not isinstance(one, EarlyStopping) or not one.monitor.startswith(DEV):
            continue
        if not any(f"/{one.monitor.removeprefix(DEV)}".endswith(f"/{metric}") for metric in names):
            raise ConfigError(
                f"callbacks.{name}.monitor={one.monitor} is not measured; add its metric to evaluate.metrics, or take"
                f" one of {', '.join(DEV + metric for metric in names)}"
            )
        if node["split"]["dev"] is None and not node.get("debug"):  # a trial leaves dev out, whatever is stopped by it
            raise ConfigError(f"callbacks.{name} follows the dev split, and split.dev is null; leave it out")
