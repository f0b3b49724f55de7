"""From config to objects: where conf/ lies, resolvers, and the one door through which classes are made."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from hardneg.errors import ConfigError, UserError
from hardneg.identity import of_root

CONFIG_PATH = "pkg://hardneg.conf"

# What a config may name as `_target_`. Hydra would call anything importable; a config file found on the web must not.
# A plug-in adds its own package through the environment variable HARDNEG_TARGETS="mypackage.,other.".
TARGETS = ("hardneg.", "torch.optim.", "lightning.pytorch.", "transformers.optimization.")


def register_resolvers() -> None:
    """Make `${cache_folder:}`, `${keys:}`, `${identity:}`, `${stage:}` known; comes before any config is composed."""
    OmegaConf.register_new_resolver("cache_folder", _cache_folder, replace=True)
    OmegaConf.register_new_resolver("keys", lambda node: "+".join(node) if node else "none", replace=True)
    OmegaConf.register_new_resolver("identity", of_root, replace=True)
    OmegaConf.register_new_resolver("stage", _stage, replace=True)


def _stage(name: str, *, _root_: DictConfig) -> str:
    """The run folder of an earlier stage, by the root key `stages`."""
    if _root_.get("stages") is None:
        raise ConfigError(
            f"this is a later stage of a recipe and needs {name}: run all of them by hardneg stages, or give"
            " stages=FOLDER, where the earlier ones are"
        )
    return f"{_root_.stages}/{name}"


def _cache_folder() -> str:
    from os import environ

    base = environ.get("HARDNEG_CACHE") or Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hardneg"
    return str(base)


def plain(node: Any) -> Any:
    """Resolve a config node into plain containers: nothing of OmegaConf may reach a checkpoint."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if OmegaConf.is_config(node) else node


def build(node: Any, **extra: Any) -> Any:
    """Make the object that a node with `_target_` describes; raises `ConfigError` for a target that is not allowed."""
    node = plain(node)
    for path, inner in targets(node):
        check_target(path, inner)
    try:
        return hydra.utils.instantiate(node, _convert_="all", **extra)
    except hydra.errors.InstantiationException as error:
        cause = error.__cause__
        raise cause if isinstance(cause, UserError) else ConfigError(str(error)) from error


def build_group(nodes: Mapping[str, Any] | None, group: str) -> dict[str, Any]:
    """Make every object of a multi-select group, by name."""
    out = {}
    for name, node in (nodes or {}).items():
        if node is None or "_target_" not in node:
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


def check_target(path: str, node: dict) -> None:
    """Raise `ConfigError` unless the target is allowed, exists and takes the given arguments."""
    from os import environ

    name = node["_target_"]
    allowed = TARGETS + tuple(filter(None, environ.get("HARDNEG_TARGETS", "").split(",")))
    if not isinstance(name, str) or not name.startswith(allowed):
        raise ConfigError(f"{path}._target_={name!r} is not allowed; it must start with one of {', '.join(allowed)}")
    try:
        callee = hydra.utils.get_object(name)
    except Exception as error:
        raise ConfigError(f"{path}._target_={name!r} cannot be imported: {error}") from error
    given = {key: value for key, value in node.items() if not (key.startswith("_") and key.endswith("_"))}
    signature = inspect.signature(callee)
    known = signature.parameters
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        for key in given.keys() - known.keys():
            raise ConfigError(f"{path}.{key} is unknown to {name}; it takes {', '.join(known)}")
    if not node.get("_partial_"):
        missing = [k for k, p in known.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        for key in set(missing) - given.keys():
            raise ConfigError(f"{path}.{key} is missing; {name} needs it")


def check_keys(node: Mapping[str, Any], primary: str) -> None:
    """Raise `ConfigError` for a key that nothing reads, which Hydra's `+key=value` would let in.

    `primary` names the command's yaml. Nodes with `_target_` are held to their signature by `check_target` instead.
    """
    written: Any = OmegaConf.load(Path(str(resources.files("hardneg.conf"))) / f"{primary}.yaml")
    groups = {str(name) for item in written.pop("defaults") if isinstance(item, DictConfig) for name in item}
    known = set(written) | groups
    for key, value in node.items():
        if key not in known:
            raise ConfigError(f"{key} is not a key of hardneg {primary}; there are {', '.join(sorted(known))}")
        section = written.get(key)
        if key not in groups and isinstance(section, DictConfig) and not _holds_targets(section):
            for unknown in (value or {}).keys() - section.keys():
                raise ConfigError(f"{key}.{unknown} is unknown; {key} has {', '.join(map(str, section))}")


def _holds_targets(section: DictConfig) -> bool:
    """Whether a section describes an object, or several by name, to which others may be added."""
    return "_target_" in section or all(isinstance(one, DictConfig) and "_target_" in one for one in section.values())


def key_of(word: str) -> str:
    """The key that a word of the command line sets."""
    return word.lstrip("+~").partition("=")[0]


def quoted(value: object) -> str:
    """A value for a word of the command line, as Hydra reads it: whatever is in a path, it stays one value."""
    text = str(value).replace("'", "\\'")
    return f"'{text}'"


def missing_keys(cfg: DictConfig) -> list[str]:
    """The keys that are still `???`."""
    return sorted(OmegaConf.missing_keys(cfg))


def in_plain_words(error: Exception) -> str:
    """Say what Hydra finds wrong with a command line; for an unknown key with its neighbours."""
    from hydra.errors import OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and "not in struct" in str(cause):
        known = sorted(str(key) for key in cause.parent_node or ())
        parent, _, key = str(cause.full_key).rpartition(".")
        close = get_close_matches(key, known, n=1)
        near = f"; did you mean {'.'.join(filter(None, (parent, close[0])))}?" if close else "."
        return f"there is no key {cause.full_key}{near} {parent or 'The config'} has {', '.join(known)}"
    option = str(getattr(error, "missing_cfg_file", None))
    if (Path(str(resources.files("hardneg.conf"))) / option / "stages.yaml").exists():
        recipe = option.rsplit("/", 1)[-1]
        return f"{recipe} is a recipe in stages, not one run: hardneg stages {recipe}"
    if isinstance(error, OverrideParseException):
        return f"{str(error).splitlines()[0]}; quote what holds = , [ ] {{ }} or blanks, as in 'data.path=\"a=b\"'"
    lines = [line.strip() for line in str(error).splitlines() if "provider=" not in line]
    return " ".join(filter(None, lines)).removesuffix("Config search path:").strip()
