"""A first look at the index that a config names, before the slow modules that open it are loaded."""

from __future__ import annotations

from pathlib import Path

from hardneg.config.command_words import to_type
from hardneg.errors import ConfigError
from hardneg.serving.index_folder import IndexFolder


def check_build(path: str | Path | None, build: str | None) -> None:
    """Raise `ConfigError` for what is no folder, `UserError` for one without this build; None is the live one."""
    if path is None or not Path(path).is_dir():
        found = "null" if path is None else f"{path}: there is no such folder"
        raise ConfigError(f"path={found}; give the folder of an index")
    IndexFolder(path).chosen(build)


def check_complete(path: str | Path, key: str = "") -> None:
    """Raise `ConfigError` for a folder, given as `key`, that holds no complete index."""
    if not IndexFolder(path).builds():
        make = to_type("index.path", path)
        raise ConfigError(f"{key}{path} holds no complete index; hardneg index ... {make} makes one")
