"""What makes a small run quick to start, in the tests and in the processes that they fork, with the same result."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import importlib.metadata
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def with_room_for_frames(call: Callable[[], Any]) -> Any:
    """Return what is called without arguments returns; all frames within it have a place in one block of memory.

    Python 3.11 to 3.13 keep frames in blocks of 16 KB, which they map and give back as calls come and go: where a block
    ends, each call in a loop takes two system calls and a page fault, a hundred times as long as a call. Runs in tests
    lie deep enough for it, and it took an eighth of their time. A frame as large as this one has a block of 1 MiB.
    """
    return call()


with_room_for_frames.__code__ = with_room_for_frames.__code__.replace(co_stacksize=66_000)


def parsing_once() -> Callable[[Any, Any], Any]:
    """Return a `yaml.load` that parses a text once: a config takes forty, which was a seventh of a small run's time."""
    known: dict[tuple[str, str], Any] = {}
    parse = yaml.load

    def load(stream: Any, Loader: Any) -> Any:
        text = stream.read() if hasattr(stream, "read") else stream
        key = (Loader.__name__, text)
        if key not in known:
            known[key] = parse(text, Loader=Loader)
        return copy.deepcopy(known[key])

    return load


@functools.cache
def entry_points_once(group: str) -> Any:
    """Return the entry points of a group, which Lightning looks up for each Trainer, three in a run."""
    return importlib.metadata.entry_points(group=group)


def everything_once(put: Callable[[Any, str, Any], None]) -> None:
    """Let each yaml, interpolation and choice of yamls be read once, and files be written without waiting for the disk.

    Attributes are set as `put` does.
    """
    import lightning.fabric.utilities.registry
    import omegaconf
    import omegaconf._utils
    import omegaconf.base
    from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultMetric

    quicker = (reading_once(), choosing_once(), choices_where_asked(), merging_once())
    for (place, name), ours in zip(places(), quicker, strict=True):
        put(place, name, ours)
    put(omegaconf.DictConfig, "__deepcopy__", copying_jobs_by_pickle())
    put(lightning.fabric.utilities.registry, "entry_points", entry_points_once)
    put(
        os, "fsync", os.fstat
    )  # which refuses what is not open too; a run waits for the disk fifty times, and no test cuts the power
    put(_ResultMetric, "to", moving_where_there_is_a_way())

    parse = parsing_interpolations_once()
    put(yaml, "load", parsing_once())
    for module in (omegaconf.base, omegaconf._utils):
        put(module, "parse", parse)


def copying_jobs_by_pickle() -> Callable[..., Any]:
    """Return OmegaConf's method that copies a config, which takes half the time for whole ones, with Hydra's own part.

    A run makes three such copies, and each config that is composed one.
    """
    from omegaconf import DictConfig

    copied = DictConfig.__deepcopy__

    @functools.wraps(copied)
    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        inside = self._content if isinstance(self._content, dict) else {}
        whole = not memo and "hydra" in inside and self._get_parent() is None
        if whole and all(node._get_parent() is self for node in inside.values()):
            with contextlib.suppress(pickle.PicklingError):  # a launcher's classes, as below
                return pickle.loads(pickle.dumps(self))
        return copied(self, memo)

    return __deepcopy__


def compose_one() -> None:
    """Compose a config and check it, as every run begins: what is found, parsed and imported once for it stays."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from hardneg.config import composition
    from hardneg.preflight.config import check_config

    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        check_config(compose("train", ["data=toy"]))
    GlobalHydra.instance().clear()


def parsing_interpolations_once() -> Callable[..., Any]:
    """Return OmegaConf's parser of `${...}`, which parses a text once; trees are only read.

    A small run parses two hundred, most of them the same.
    """
    from omegaconf.grammar_parser import parse

    return functools.lru_cache(maxsize=4096)(parse)


def places() -> list[tuple[Any, str]]:
    """Where Hydra has what reads a yaml, what finds which yamls are chosen (and a part of it), and what merges them."""
    from hydra._internal import config_loader_impl, defaults_list
    from hydra.core.plugins import Plugins

    from hardneg.config import yaml_sources

    yaml_sources.register()  # as commands do: Hydra keeps the sources that it is told of first
    Plugins.instance()  # as it looks for plug-ins it runs their modules anew, and with them makes the next class anew
    from hydra._internal.core_plugins.file_config_source import FileConfigSource

    return [
        (FileConfigSource, "load_config"),
        (config_loader_impl, "create_defaults_list"),
        (defaults_list, "_create_interpolation_map"),
        (config_loader_impl.ConfigLoaderImpl, "_compose_config_from_defaults_list"),
    ]


def reading_once() -> Callable[..., Any]:
    """Return Hydra's method that reads the yaml of a folder, which makes a config of each once.

    As `hardneg.config.yaml_sources` does for those of a package, where commands find theirs.
    """
    from hydra._internal.core_plugins.file_config_source import FileConfigSource

    read = FileConfigSource.load_config
    known: dict[tuple[Any, ...], bytes] = {}

    @functools.wraps(read)
    def load_config(self: Any, config_path: str) -> Any:
        path = Path(self.path, self._normalize_file_name(config_path))
        if not path.is_file():
            return read(self, config_path)
        key = (self.provider, path, path.stat().st_mtime_ns, path.stat().st_size)
        if key not in known:
            known[key] = pickle.dumps(read(self, config_path))
        return pickle.loads(known[key])  # a quarter of a deep copy's time

    return load_config


def choosing_once() -> Callable[..., Any]:
    """Return Hydra's `create_defaults_list`, which finds out once which yamls some choices of options come to.

    That is a function of the choices alone, as long as all yamls are ours, which no test changes.
    """
    from hydra._internal import defaults_list as hydras

    create = hydras.create_defaults_list
    known: dict[str, Any] = {}

    @functools.wraps(create)
    def create_defaults_list(repo: Any, config_name: str | None, overrides_list: list[Any], **how: Any) -> Any:
        if not _of_ours(repo):
            return create(repo=repo, config_name=config_name, overrides_list=overrides_list, **how)
        asked = hydras.Overrides(repo=repo, overrides_list=overrides_list)
        choices = (asked.override_choices, asked.append_group_defaults, asked.deletions)
        key = repr((_places(repo), config_name, choices, how))
        if key not in known:
            known[key] = create(repo=repo, config_name=config_name, overrides_list=overrides_list, **how)
        return dataclasses.replace(known[key], config_overrides=asked.config_overrides)

    return create_defaults_list


def choices_where_asked() -> Callable[..., Any]:
    """Return Hydra's function that makes a config of the choices so far, for yamls alone whose defaults refer to them.

    Hydra makes one for each yaml, which is more than half of what it takes to find out which yamls are chosen.
    """
    from hydra._internal import defaults_list as hydras

    make = hydras._create_interpolation_map

    @functools.wraps(make)
    def _create_interpolation_map(overrides: Any, defaults_list: list[Any], self_added: bool) -> Any:
        asked = any(one.is_interpolation() for one in defaults_list)
        return make(overrides, defaults_list, self_added) if asked else None

    return _create_interpolation_map


def merging_once() -> Callable[..., Any]:
    """Return Hydra's method that merges the yamls of a config, which merges the same ones once."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    merge = ConfigLoaderImpl._compose_config_from_defaults_list
    known: dict[str, bytes] = {}

    @functools.wraps(merge)
    def merged(self: Any, defaults: list[Any], repo: Any) -> Any:
        if not _of_ours(repo):
            return merge(self, defaults=defaults, repo=repo)
        key = repr((_places(repo), defaults))
        if key not in known:
            made = merge(self, defaults=defaults, repo=repo)
            try:
                known[key] = pickle.dumps(made)
            except pickle.PicklingError:  # a launcher's classes, whose module Hydra has run twice to look for plug-ins
                return made
        return pickle.loads(known[key])

    return merged


def _places(repo: Any) -> list[str]:
    """Where Hydra looks for yamls, in their order."""
    return [f"{source.provider} {source.scheme()}://{source.path}" for source in repo.get_sources()]


def _of_ours(repo: Any) -> bool:
    """Whether all places are Hydra's and the conf/ under test, and none a folder or a package that a test writes."""
    from confs import CONF

    ours = ("pkg://hydra.conf", "pkg://hardneg.conf", "structured://", f"file://{CONF}")
    return all(place.split(" ", 1)[1] in ours for place in _places(repo))


def moving_where_there_is_a_way() -> Callable[..., Any]:
    """Return the method by which Lightning moves a logged number to the device of the next one, which it may be on.

    It looks through all that the number has for each number of each row, and small runs write a row a step.
    """
    from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultMetric

    move = _ResultMetric.to

    @functools.wraps(move)
    def to(self: Any, device: Any) -> Any:
        there = self.is_tensor and self.value.device == device
        return self if there and device.type == "cpu" else move(self, device)

    return to


def composing_once() -> Callable[..., Any]:
    """Return a `Hydra.get_mode` that composes only for a word with hydra.mode; nothing else here sets it.

    Hydra composes the whole config to see what that is, and then again to run, which was a seventh of what was left.
    """
    from hydra._internal.hydra import Hydra

    compose = Hydra.get_mode

    @functools.wraps(compose)
    def get_mode(self: Any, config_name: str | None, overrides: list[str]) -> Any:
        return compose(self, config_name, overrides) if any("hydra.mode" in word for word in overrides) else None

    return get_mode
