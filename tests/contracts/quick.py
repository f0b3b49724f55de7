"""What makes a small run quick to start, in the tests and in the processes that they fork, with the same result."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
from collections.abc import Callable
from typing import Any

import yaml


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


def everything_parsed_once(put: Callable[[Any, str, Any], None]) -> None:
    """Let each yaml and each interpolation be parsed once, by setting attributes as `put` does."""
    import omegaconf._utils
    import omegaconf.base

    parse = parsing_interpolations_once()
    put(yaml, "load", parsing_once())
    for module in (omegaconf.base, omegaconf._utils):
        put(module, "parse", parse)


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
