"""What a run is tested on: several splits of its own data, and other data sets (`evaluate.also`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg.config import classes
from hardneg.config.studies import own_folder
from hardneg.data.readers.folders import nothing_at
from hardneg.data.readers.guess import REPOS, kind_at
from hardneg.errors import ConfigError

NAME = re.compile(r"\w[\w-]*")
SPLIT, KIND = "test", "data"  # keys of an entry beside those of its reader


def splits_of(value: Any) -> list[str]:
    """Return the splits that `split.test` names: none, one, or a list of them.

    Raises `ConfigError` for one that is named twice, and for what is not a name.
    """
    names = [] if value is None else [value] if isinstance(value, str) else list(value)
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"split.test: {name!r} is not the name of a split; write [test,hard]")
        if names.count(name) > 1:
            raise ConfigError(f"split.test names {name} twice")
    return names


def others(also: Mapping[str, Any] | None, cache: str | None = None) -> dict[str, tuple[dict[str, Any], str]]:
    """Return what `evaluate.also` names: for each set its data as a whole config node, and the split.

    An entry is a config of the group `data` (`+data@evaluate.also.NAME=beir`), or `{path: DIR}`, whose kind is guessed
    as that of `data.path` is, or given by `data: KIND`. `test: SPLIT` names its split (by default test). `cache` is the
    run's, for generated data. Reads no data. Raises `ConfigError` for anything else, for a path that is not there, and
    for a name that cannot be part of a metric's.
    """
    found = {}
    for name, given in (also or {}).items():
        if not NAME.fullmatch(str(name)):
            raise ConfigError(
                f"evaluate.also: {name!r} cannot be part of a metric's name; use letters, digits, _ and -"
            )
        try:
            found[str(name)] = _entry(given, cache)
        except ConfigError as error:
            raise ConfigError(f"evaluate.also.{name}: {error}") from error
    return found


def _entry(given: Any, cache: str | None) -> tuple[dict[str, Any], str]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{given!r} is not a data set; write {{path: DIR}}")
    node = dict(given)
    split, kind = node.pop(SPLIT, "test"), node.pop(KIND, None)
    if not isinstance(split, str) or not split:
        raise ConfigError(f"test={split!r} must be one split; name the set twice, by two names, to test on two")
    if node.get("path") and not Path(str(node["path"])).expanduser().exists():
        raise ConfigError(f"path={node['path']}: {nothing_at(Path(str(node['path'])).expanduser())}")
    if "_target_" in node:
        return node, split
    if kind is None:
        if not node.get("path"):
            raise ConfigError("give its path, as in {path: DIR}, or its kind, as in {data: hub, repo: OWNER/NAME}")
        kind = kind_at(Path(str(node["path"])).expanduser())
        if kind in REPOS:  # a copy of a repository of the hub
            node["repo"] = node.pop("path")
    file = own_folder() / "data" / f"{kind}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.yaml")))
        raise ConfigError(f"data: {kind} is not a kind of data; the kinds are {known}")
    written = OmegaConf.create({"data": OmegaConf.load(file), "cache": cache})
    return {**classes.plain(OmegaConf.merge(written, {"data": node}).data), **node}, split


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Return a command's plain config with whole nodes in `evaluate.also`, for checks that look at every part."""
    also = (node.get("evaluate") or {}).get("also")
    if not also:
        return node
    found = {name: data for name, (data, _) in others(also, node.get("cache")).items()}
    return {**node, "evaluate": {**node["evaluate"], "also": found}}
