"""What makes a small run quick to start, in the tests and in the processes that they fork, with the same result."""

from __future__ import annotations

import copy
import functools
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
