"""Whether an optimizer can be made as a config asks, over all weights and over groups of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import hydra
import torch

from hardneg.config import classes
from hardneg.errors import ConfigError
from hardneg.training.parameter_groups import ORTHOGONAL, ParameterGroups, optimizer_alone
from hardneg.training.schedule import AnyScheduler

EXTRA = "pytorch_optimizer"
CLOSURES = ("torch.optim.LBFGS", "torch.optim.lbfgs.LBFGS")
OF_ADAMW = ("betas", "eps")  # what a group that AdamW trains beside Muon may have, in addition to Muon's arguments
# Optimizers that treat each number alone, so that it does not matter which device holds it.
ELEMENTWISE = (
    *("AdamW", "Adam", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "ASGD", "RMSprop", "Rprop", "SGD"),
)


def check_installed(node: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an optimizer whose package is not installed."""
    if str(node.get("_target_")).startswith(f"{EXTRA}.") and find_spec(EXTRA) is None:
        raise ConfigError(
            f"{node['_target_']} is of a package that is not installed: pip install 'hardneg[optimizers]'"
        )


def check_optimizer(node: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an optimizer that refuses its settings, or those of a group."""
    if node["_target_"] in CLOSURES:
        raise ConfigError(
            "optimizer: LBFGS asks for a batch's loss several times a step, and negatives and dropout are those of one;"
            " choose another, such as optimizer=adamw"
        )
    groups, alone = ParameterGroups.of(node), optimizer_alone(node)
    _make(alone, "optimizer")
    check_step(alone)
    known = [name for name in inspect.signature(hydra.utils.get_object(node["_target_"])).parameters]
    for name, settings in groups.groups.items():
        given = {key: value for key, value in settings.items() if key != "match"}
        extra = OF_ADAMW if groups.orthogonal else ()
        for key in given:
            if key not in (*known[1:], *extra):
                takes = ", ".join(["match", *known[1:]])
                raise ConfigError(
                    f"optimizer.groups.{name}.{key} is unknown to {node['_target_']}; a group takes {takes}"
                )
        _make({**alone, **{key: value for key, value in given.items() if key in known}}, f"optimizer.groups.{name}")


def _group(node: Mapping[str, Any], weight: torch.Tensor) -> dict[str, Any]:
    """A group of one parameter, as this optimizer takes it."""
    group: dict[str, Any] = {"params": [torch.nn.Parameter(weight)]}
    return {**group, "use_muon": False} if node["_target_"] == ORTHOGONAL else group


def _make(node: Mapping[str, Any], key: str) -> None:
    try:
        classes.build(dict(node))([_group(node, torch.zeros(1))])
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        given = ", ".join(f"{name}={value}" for name, value in node.items() if not name.startswith("_"))
        raise ConfigError(f"{key} with {given}: {error}") from error


def check_step(node: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an optimizer that makes no step with a matrix and its gradient, all that it is given.

    Such as wait for a closure, for sparse gradients, or for second derivatives: a run would end at its first step.
    """
    group = _group(node, torch.zeros(4, 4))
    (weight,) = group["params"]
    here = {**node, "capturable": False} if node.get("capturable") else dict(node)  # that is for weights on a GPU
    optimizer: torch.optim.Optimizer = classes.build(here)([group])
    weight.grad = torch.ones_like(weight)
    try:
        optimizer.step()
    except Exception as error:
        raise ConfigError(
            f"optimizer: {type(optimizer).__name__} makes no step from gradients alone: {error}; choose another, such"
            " as optimizer=adamw"
        ) from error


def check_attached(node: Mapping[str, Any], schedule: Any) -> None:
    """Raise `ConfigError` for a scheduler of torch's or transformers' that does not fit the optimizer.

    Where a list has a value for each group of weights that cannot be seen here.
    """
    given = getattr(getattr(schedule, "scheduler", None), "keywords", {})
    if not isinstance(schedule, AnyScheduler) or any(isinstance(value, list | tuple) for value in given.values()):
        return
    group = _group(node, torch.zeros(1))
    try:
        schedule.attached(classes.build(optimizer_alone(node))([group]), steps=100, epochs=10)
    except Exception as error:
        raise ConfigError(f"schedule.scheduler with optimizer={node['_target_']}: {error}") from error


def check_split_optimizer(node: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an optimizer that looks at whole weights, where devices hold a part each."""
    package, _, name = str(node["_target_"]).rpartition(".")
    if not package.startswith("torch.optim") or name not in ELEMENTWISE:
        raise ConfigError(
            f"trainer=fsdp2 gives each device a part of every weight, and {name} was not tried on parts (some"
            " optimizers look at whole matrices): take optimizer=adamw, or trainer=default"
        )
