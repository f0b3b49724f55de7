"""Composing configs from command-line words: the path of conf/, resolvers, and checks for unknown keys."""

from __future__ import annotations

import copy
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_module
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config.command_words import key_of
from hardneg.config.run_identity import data_name, of_root
from hardneg.config.slips import in_plain_words, near
from hardneg.config.studies import own_folder
from hardneg.config.value_kinds import check_bounds, check_settings
from hardneg.errors import ConfigError
from hardneg.system.cache_folder import cache_folder
from hydra_plugins.hardneg import Studies

CONFIG_PATH = "pkg://hardneg.conf"


def register_resolvers() -> None:
    """Register `${cache_folder:}` and the other resolvers, and study packages; call before any config is composed."""
    # Hydra 1.3 needs version_base, which Hydra 1.4 deprecates.
    warnings.filterwarnings("ignore", message="The version_base parameter is deprecated")
    with suppress(ImportError):  # a Hydra with other internals uses its own, slower sources
        from hardneg.config import yaml_sources

        yaml_sources.register()  # before the next line, where Hydra registers its own
    Plugins.instance().register(Studies)  # Hydra 1.3 does not find it in an editable install
    # OmegaConf 2.3's register_new_resolver is called register_resolver in 2.4, a name that means something else in 2.3.
    renamed = "replace" in inspect.signature(OmegaConf.register_resolver).parameters
    register: Any = OmegaConf.register_resolver if renamed else OmegaConf.register_new_resolver
    register("cache_folder", lambda: str(cache_folder()), replace=True)
    register("output_folder", output_folder, replace=True)
    register("keys", lambda node: "+".join(node) if node else "none", replace=True)
    register("identity", of_root, replace=True)
    register("data_name", data_name, replace=True)
    register("stage", _stage, replace=True)


def _stage(name: str, *, _root_: DictConfig) -> str:
    """The run folder of an earlier stage, within the folder of the root key `stages`."""
    if _root_.get("stages") is None:
        raise ConfigError(
            f"this is a later stage of a recipe and needs {name}: run all stages with hardneg stages, or give"
            " stages=FOLDER, the folder with the earlier ones"
        )
    return f"{_root_.stages}/{name}"


def output_folder() -> str:
    """The default of `paths.output_dir`, the folder for outputs/ and multirun/: HARDNEG_OUTPUT, else here."""
    return os.path.expanduser(os.environ.get("HARDNEG_OUTPUT") or ".")


def config_dir_words(hydra: DictConfig | HydraConf) -> list[str]:
    """`--config-dir DIR` as on the command line, from Hydra's own config; empty if it was not given."""
    own = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    return ["--config-dir", str(own[0])] if own else []


def check_keys(node: Mapping[str, Any], primary: str) -> None:
    """Raise `ConfigError` for an unknown key, which Hydra's `+key=value` would allow, and for values of a wrong type.

    `primary` names the command's yaml. Nodes with `_target_` are checked against their signature by `check_target`.
    """
    written, groups = _keys_of(primary)
    known = {str(key) for key in written if key != "hydra"} | groups
    for key, value in node.items():
        if key not in known:
            close = near(key, known)
            meant = f"; did you mean {close}?" if close else "; its keys are " + ", ".join(sorted(known))
            raise ConfigError(f"{key} is not a key of hardneg {primary}{meant}")
        section = written.get(key)
        if key not in groups and isinstance(section, dict) and not _holds_targets(section):
            for unknown in (value or {}).keys() - section.keys():
                raise ConfigError(f"{key}.{unknown} is unknown; {key} has {', '.join(map(str, section))}")
    check_settings(node, {key: default for key, default in written.items() if key not in groups})


def check_numbers(node: dict[str, Any], primary: str) -> None:
    """Raise `ConfigError` for a negative number; call it after the checks that know the exact bounds."""
    written, groups = _keys_of(primary)
    check_bounds(node, {key: default for key, default in written.items() if key not in groups})


@cache
def _keys_of(primary: str) -> tuple[dict[str, Any], set[str]]:
    """The contents of a command's yaml, read once, and the groups in its defaults."""
    written: Any = OmegaConf.load(own_folder() / f"{primary}.yaml")
    plain: Any = OmegaConf.to_container(written)
    groups = {str(name) for item in plain.pop("defaults") if isinstance(item, dict) for name in item}
    return plain, {name for name in groups if not name.startswith("override ")}


def _holds_targets(section: dict[str, Any]) -> bool:
    """Whether a section describes an object, or several objects by name, so that further keys may be added."""
    return "_target_" in section or all(isinstance(one, dict) and "_target_" in one for one in section.values())


def keys_given() -> set[str]:
    """The keys that were given on the command line; empty if no Hydra app is running."""
    return {key_of(word) for word in HydraConfig.get().overrides.task} if HydraConfig.initialized() else set()


def words_off(group: str, words: list[str], composed: Callable[[list[str]], Mapping[str, Any]]) -> list[str]:
    """The words that undo what `words` select and set in a group; empty if they select nothing.

    `composed` composes words into a plain config. Hydra does not accept `GROUP=null`.
    """
    if not composed(words).get(group):
        return []
    rest = composed([*words, f"~{group}"]).get(group)
    return [f"~{group}", *(f"~{group}.{key}" for key in rest or {})]


def parsed(words: Sequence[str]) -> list[Override]:
    """Words of a command line as Hydra reads them, which must be running: it knows the options for a `glob(*)`."""
    return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(words))


def check_given(cfg: DictConfig, within: tuple[str, ...] = ("",)) -> None:
    """Raise `ConfigError` for keys that are still `???`, of those that begin so."""
    if missing := [key for key in missing_keys(cfg) if key.startswith(within)]:
        raise ConfigError(f"no value for {', '.join(missing)}; give it on the command line, as {missing[0]}=VALUE")


def missing_keys(cfg: DictConfig) -> list[str]:
    """The keys that are still `???`."""
    return sorted(_missing(OmegaConf.to_container(cfg)))  # OmegaConf.missing_keys takes five times as long


def _missing(node: Any, key: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _missing(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _missing(value, f"{key}[{place}]")
    elif node == "???":
        yield key


@contextmanager
def as_in_a_job(config: DictConfig, *place: str) -> Iterator[Path]:
    """Make `${hydra:...}` resolve as it will in the job of this config, which Hydra sets up only when the job runs.

    `place` are the keys that name the job's folder, joined as nested folders; yields that folder.
    """
    before = HydraConfig.instance().cfg
    try:
        yield _enter_job(config, *place)
    finally:
        HydraConfig.instance().cfg = before


def _enter_job(config: DictConfig, *place: str) -> Path:
    """Make Hydra's own config that of this job, and return the job's folder."""
    config = copy.deepcopy(config)
    HydraConfig.instance().set_config(config)
    folder = Path(*(str(OmegaConf.select(config, key)) for key in place)).resolve()
    known: Any = HydraConfig.get()
    for runtime in (config.hydra.runtime, known.runtime):
        with read_write(runtime), open_dict(runtime):
            runtime.output_dir = str(folder)
    return folder


@contextmanager
def composing(command: str | None = None) -> Iterator[None]:
    """Let configs be composed where no Hydra app is running; raises `ConfigError` for what Hydra refuses."""
    register_resolvers()
    with initialize_config_module(CONFIG_PATH.removeprefix("pkg://"), version_base="1.3"):
        try:
            yield
        except HydraException as error:
            raise ConfigError(in_plain_words(error, command)) from error


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config separately, as Hydra will; `${hydra:...}` then refers to the last config composed."""
    cfg = GlobalHydra.instance().hydra.compose_config(  # type: ignore[union-attr]
        config_name=config_name, overrides=overrides, run_mode=RunMode.RUN, with_log_configuration=False
    )
    _enter_job(cfg, "hydra.run.dir")
    with open_dict(cfg):
        cfg.pop("hydra", None)
    OmegaConf.set_readonly(cfg, True)
    return cfg
