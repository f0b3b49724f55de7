"""From config to objects: the one door through which classes are made."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import hydra
from omegaconf import OmegaConf

from hardneg.config import studies
from hardneg.config.current_folder import admitted, current_folder
from hardneg.config.refused_arguments import lightnings
from hardneg.config.value_kinds import check_arguments
from hardneg.errors import ConfigError, UserError
from hardneg.system import own_code

# What a config may name as `_target_`. Hydra would call anything importable; a config file found on the web must not.
# A package of your own is added by its entry point (see `studies`), code that is not installed, by the environment
# variable HARDNEG_TARGETS="mypackage.,other.".
TARGETS = ("hardneg.", "torch.optim.", "pytorch_optimizer.", "lightning.pytorch.", "transformers.optimization.")


def plain(node: Any) -> Any:
    """Resolve a config node into plain containers: nothing of OmegaConf may reach a checkpoint."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if OmegaConf.is_config(node) else node


def build(node: Any, **extra: Any) -> Any:
    """Make the object that a node with `_target_` describes; raises `ConfigError` for a target that is not allowed."""
    node = plain(node)
    if not isinstance(node, dict | list | None):
        raise ConfigError(f"{node!r} stands where a part is described by its _target_; choose one by name, or null")
    for path, inner in targets(node):
        check_target(path, inner)
    if isinstance(node, dict) and "_target_" in node:
        # As an argument Hydra would merge it into the node, a fifth of the time that this takes.
        node = {**node, "_convert_": "all"}
    else:
        extra["_convert_"] = "all"
    try:
        with hydras_own_whitelist_off():
            return hydra.utils.instantiate(node, **extra)
    except hydra.errors.InstantiationException as error:
        cause = error.__cause__
        raise cause if isinstance(cause, UserError) else ConfigError(str(error)) from error


def hydras_own_whitelist_off() -> AbstractContextManager:
    """Let Hydra 1.4 make what `build` has checked; it warns of what no whitelist of its own names, Hydra 1.3 has none.

    What a config names for Hydra itself (launchers, logging) it may name in 1.3 too, by whoever types the command.
    """
    utils: Any = hydra.utils
    if not hasattr(utils, "execution_whitelist"):
        return nullcontext()
    return utils.execution_whitelist(utils.UNSAFE_DISABLE_EXECUTION_CHECKS)


def build_group(nodes: Mapping[str, Any] | None, group: str) -> dict[str, Any]:
    """Make every object of a multi-select group, by name.

    Raises `ConfigError`, naming the key, for settings of a part that was not chosen, and for what the classes refuse.
    """
    out = {}
    for name, node in (nodes or {}).items():
        if node is None:
            raise ConfigError(f"{group}.{name}=null takes nothing away: write '~{group}.{name}'")
        if "_target_" not in node:
            raise ConfigError(
                f"{group}.{name} has settings but was not chosen: add {name} to the list, as in '{group}=[{name}]', or"
                f" take them away, by '~{group}.{name}'"
            )
        try:
            out[name] = build(node)
        except UserError as error:
            raise ConfigError(f"{group}.{name}: {error}") from error
    return out


def targets(node: Any, path: str = "") -> Iterator[tuple[str, dict]]:
    """Walk through plain containers and yield every node with a `_target_`, with its dotted path."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path or "<root>", dict(node)
        for key, value in node.items():
            yield from targets(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from targets(value, f"{path}[{index}]")


def target_object(node: Mapping[str, Any]) -> Any:
    """Return what a node's `_target_` names; raises what importing it does."""
    return hydra.utils.get_object(node["_target_"])


def check_allowed(path: str, node: dict) -> None:
    """Raise `ConfigError` unless the target is of a package that a config may name."""
    name = node["_target_"]
    allowed = TARGETS + admitted()
    allowed += tuple(f"{package}." for package in studies.packages())
    if not isinstance(name, str) or not name.startswith(allowed):
        said = f"{path}._target_={name!r} is not allowed; it must start with one of {', '.join(allowed)}"
        package = str(name).split(".")[0]
        if package not in sys.stdlib_module_names:
            said += f"; if it is code of your own, allow its package: HARDNEG_TARGETS={package}. in the environment"
        raise ConfigError(said)
    current_folder.allow(name)


def check_target(path: str, node: dict) -> None:
    """Raise `ConfigError` unless the target is allowed, exists and takes the given arguments, of their kinds."""
    check_allowed(path, node)
    name = node["_target_"]
    try:
        callee = target_object(node)
    except Exception as error:
        raise ConfigError(f"{path}._target_={name!r} cannot be imported: {error}") from error
    given = {key: value for key, value in node.items() if not (key.startswith("_") and key.endswith("_"))}
    if path == "trainer":  # has a key of ours beside Lightning's
        given = lightnings(given)
    if inspect.isclass(callee) and not name.startswith(TARGETS):
        own_code.code_of(callee)  # now, as it was imported: a file that is edited during the run is another version
    signature = inspect.signature(callee)
    known = signature.parameters
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        for key in given.keys() - known.keys():
            raise ConfigError(f"{path}.{key} is unknown to {name}; it takes {', '.join(known)}")
    if not node.get("_partial_"):
        missing = [k for k, p in known.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        for key in set(missing) - given.keys():
            raise ConfigError(f"{path}.{key} is missing; {name} needs it")
    check_arguments(path, callee, given)
