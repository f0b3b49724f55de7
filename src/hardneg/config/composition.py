"""From the words of a command line to a config: where conf/ lies, its resolvers, and what is wrong with a word."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from hardneg.config.run_identity import data_name, job_folder, of_root
from hardneg.errors import ConfigError

CONFIG_PATH = "pkg://hardneg.conf"


def register_resolvers() -> None:
    """Make `${cache_folder:}`, `${keys:}`, `${identity:}` and the like known; comes before any config is composed."""
    OmegaConf.register_new_resolver("cache_folder", _cache_folder, replace=True)
    OmegaConf.register_new_resolver("keys", lambda node: "+".join(node) if node else "none", replace=True)
    OmegaConf.register_new_resolver("identity", of_root, replace=True)
    OmegaConf.register_new_resolver("data_name", data_name, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
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


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config on its own, as Hydra will."""
    cfg = GlobalHydra.instance().hydra.compose_config(  # type: ignore[union-attr]
        config_name=config_name, overrides=overrides, run_mode=RunMode.RUN, with_log_configuration=False
    )
    with open_dict(cfg):
        cfg.pop("hydra", None)
    OmegaConf.set_readonly(cfg, True)
    return cfg
