"""From the words of a command line to a config: where conf/ lies, its resolvers, and keys that nothing reads."""

from __future__ import annotations

import copy
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config.command_words import key_of
from hardneg.config.run_identity import data_name, job_folder, of_root
from hardneg.config.slips import near
from hardneg.config.value_kinds import check_bounds, check_settings
from hardneg.errors import ConfigError
from hardneg.system.cache_folder import cache_folder
from hydra_plugins.hardneg import Studies

CONFIG_PATH = "pkg://hardneg.conf"


def register_resolvers() -> None:
    """Make `${cache_folder:}` and the like known, and studies found; comes before any config is composed."""
    # Hydra 1.3 must be told whose defaults are meant, which Hydra 1.4 speaks of as a thing of the past.
    warnings.filterwarnings("ignore", message="The version_base parameter is deprecated")
    with suppress(ImportError):  # a Hydra whose inside is another reads by its own sources, more slowly
        from hardneg.config import yaml_sources

        yaml_sources.register()  # before the next line, in which Hydra looks for its own
    Plugins.instance().register(Studies)  # Hydra 1.3 does not see it in an editable install
    # What OmegaConf 2.3 calls register_new_resolver is register_resolver in 2.4; in 2.3 that is one of another kind.
    renamed = "replace" in inspect.signature(OmegaConf.register_resolver).parameters
    register: Any = OmegaConf.register_resolver if renamed else OmegaConf.register_new_resolver
    register("cache_folder", lambda: str(cache_folder()), replace=True)
    register("output_folder", output_folder, replace=True)
    register("keys", lambda node: "+".join(node) if node else "none", replace=True)
    register("identity", of_root, replace=True)
    register("data_name", data_name, replace=True)
    register("job_folder", job_folder, replace=True)
    register("stage", _stage, replace=True)


def _stage(name: str, *, _root_: DictConfig) -> str:
    """The run folder of an earlier stage, by the root key `stages`."""
    if _root_.get("stages") is None:
        raise ConfigError(
            f"this is a later stage of a recipe and needs {name}: run all of them by hardneg stages, or give"
            " stages=FOLDER, where the earlier ones are"
        )
    return f"{_root_.stages}/{name}"


def output_folder() -> str:
    """The folder that gets outputs/ and multirun/ unless `paths.output_dir` says so: HARDNEG_OUTPUT, else here."""
    return os.environ.get("HARDNEG_OUTPUT") or "."


def config_dir_words(hydra: DictConfig | HydraConf) -> list[str]:
    """`--config-dir DIR` as the command line had it, by Hydra's own config; empty where it had none."""
    own = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    return ["--config-dir", str(own[0])] if own else []


def check_keys(node: Mapping[str, Any], primary: str) -> None:
    """Raise `ConfigError` for a key that nothing reads, which Hydra's `+key=value` would let in, and for wrong kinds.

    `primary` names the command's yaml. Nodes with `_target_` are held to their signature by `check_target` instead.
    """
    written, groups = _keys_of(primary)
    known = {str(key) for key in written if key != "hydra"} | groups
    for key, value in node.items():
        if key not in known:
            close = near(key, known)
            meant = f"; did you mean {close}?" if close else "; there are " + ", ".join(sorted(known))
            raise ConfigError(f"{key} is not a key of hardneg {primary}{meant}")
        section = written.get(key)
        if key not in groups and isinstance(section, dict) and not _holds_targets(section):
            for unknown in (value or {}).keys() - section.keys():
                raise ConfigError(f"{key}.{unknown} is unknown; {key} has {', '.join(map(str, section))}")
    check_settings(node, {key: default for key, default in written.items() if key not in groups})


def check_numbers(node: dict[str, Any], primary: str) -> None:
    """Raise `ConfigError` for a number below zero; after the checks that know better what their numbers may be."""
    written, groups = _keys_of(primary)
    check_bounds(node, {key: default for key, default in written.items() if key not in groups})


@cache
def _keys_of(primary: str) -> tuple[dict[str, Any], set[str]]:
    """What a command's yaml holds, read once, and the groups among its defaults."""
    written: Any = OmegaConf.load(Path(str(resources.files("hardneg.conf"))) / f"{primary}.yaml")
    plain: Any = OmegaConf.to_container(written)
    groups = {str(name) for item in plain.pop("defaults") if isinstance(item, dict) for name in item}
    return plain, {name for name in groups if not name.startswith("override ")}


def _holds_targets(section: dict[str, Any]) -> bool:
    """Whether a section describes an object, or several by name, to which others may be added."""
    return "_target_" in section or all(isinstance(one, dict) and "_target_" in one for one in section.values())


def keys_given() -> set[str]:
    """The keys that the running command was given words for; none where no Hydra app runs."""
    return {key_of(word) for word in HydraConfig.get().overrides.task} if HydraConfig.initialized() else set()


def words_off(group: str, words: list[str], composed: Callable[[list[str]], Mapping[str, Any]]) -> list[str]:
    """The words that take away what `words` choose and set of a group; none where that is nothing.

    `composed` makes a plain config of words. `GROUP=null` is not one that Hydra takes.
    """
    if not composed(words).get(group):
        return []
    rest = composed([*words, f"~{group}"]).get(group)
    return [f"~{group}", *(f"~{group}.{key}" for key in rest or {})]


def missing_keys(cfg: DictConfig) -> list[str]:
    """The keys that are still `???`."""
    return sorted(OmegaConf.missing_keys(cfg))


@contextmanager
def as_in_a_job(config: DictConfig, *place: str) -> Iterator[Path]:
    """Let `${hydra:...}` resolve as it will in the job of this config, to which Hydra sees only when the job runs.

    `place` are the keys that name the job's folder, one below the other; yields that folder.
    """
    config, before = copy.deepcopy(config), HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        folder = Path(*(str(OmegaConf.select(config, key)) for key in place)).resolve()
        known: Any = HydraConfig.get()
        for runtime in (config.hydra.runtime, known.runtime):
            with read_write(runtime), open_dict(runtime):
                runtime.output_dir = str(folder)
        yield folder
    finally:
        HydraConfig.instance().cfg = before


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config on its own, as Hydra will; `${hydra:...}` leads to Hydra's part of the last one."""
    cfg = GlobalHydra.instance().hydra.compose_config(  # type: ignore[union-attr]
        config_name=config_name, overrides=overrides, run_mode=RunMode.RUN, with_log_configuration=False
    )
    with as_in_a_job(cfg, "hydra.run.dir"):
        known = HydraConfig.instance().cfg
    HydraConfig.instance().cfg = known
    with open_dict(cfg):
        cfg.pop("hydra", None)
    OmegaConf.set_readonly(cfg, True)
    return cfg
