"""Yamls of a user's own config folder whose `# @package` line is missing, or hidden: nothing would read their settings.

Hydra puts what such a file holds below the name of its group, and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from hardneg.config.command_words import MULTI_SELECT
from hardneg.errors import ConfigError

WHOLE = {group: "_global_" for group in ("experiment", "strategy", "debug", "hparams_search")}
WHOLE |= {"race": "hydra.sweeper.arms"}  # groups whose options set keys elsewhere
LINE = re.compile(r"^\s*#\s*@package\s+\S", re.MULTILINE)
BOM = "\ufeff"
NO_CFG = ("-cd", "-cn", "-cp")  # Hydra's other options that begin as -c does, which may have its value behind it
HEAD = 512  # letters of a file in which Hydra looks for the line


def check_package_lines(cfg: DictConfig) -> None:
    """Raise `ConfigError`, naming the file, where an option's settings lie where nothing reads them."""
    for group, package in WHOLE.items():
        if OmegaConf.is_dict(cfg.get(group)):
            raise ConfigError(_said(group, package, _chosen(group)))
    for group in MULTI_SELECT:
        chosen = cfg.get(group)
        if OmegaConf.is_dict(chosen) and "_target_" in chosen:
            raise ConfigError(_said(group, f"{group}.NAME", _chosen(group)))


@contextmanager
def checked_where_shown(words: Sequence[str]) -> Iterator[None]:
    """Within the block check the config that `--cfg` shows, too, which Hydra hands to `HydraConfig` alone."""
    if not any(word.startswith("--cf") or (word.startswith("-c") and word[:3] not in NO_CFG) for word in words):
        yield
        return
    told = HydraConfig.set_config

    def checked(self: HydraConfig, cfg: DictConfig) -> None:
        told(self, cfg)
        check_package_lines(cfg)

    HydraConfig.set_config = checked  # type: ignore[method-assign]
    try:
        yield
    finally:
        HydraConfig.set_config = told  # type: ignore[method-assign]


def hidden_override(error: str) -> str | None:
    """Say of which file the package line is missing, from Hydra's message; None where it is of something else.

    Without the line an `override /GROUP: ...` of the file is looked for below the file's own group.
    """
    found = re.match(r"In '(\w+)/([^']+)': Could not override '[^']+@(\w+)\.", error)
    if found is None or found[1] != found[3] or found[1] not in WHOLE:
        return None
    return _said(found[1], WHOLE[found[1]], found[2])


def unreadable(error: UnicodeDecodeError | yaml.YAMLError, words: Sequence[str]) -> str | None:
    """Say which yaml cannot be read and where; None where that cannot be told. `words` are of the command line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark and Path(error.problem_mark.name).is_file():
        return _no_yaml(error, error.problem_mark.name)
    places = [after for word, after in pairwise(words) if word in ("--config-dir", "-cd")]
    places += [word.partition("=")[2] for word in words if word.startswith("--config-dir=")]
    for path in sorted(path for place in places for path in Path(place).rglob("*.y*ml")):
        try:
            yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except UnicodeDecodeError as wrong:
            return f"{path}: byte {wrong.start + 1} is no UTF-8; save it as UTF-8"
        except yaml.MarkedYAMLError as wrong:
            return _no_yaml(wrong, path)
    return None


def _no_yaml(error: yaml.MarkedYAMLError, path: str | Path) -> str:
    line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
    return f"{path}{line}: this is no YAML: {error.problem}"


def _said(group: str, package: str, name: str | None) -> str:
    """Say which yaml of a group has no package line: that of the option `name`, or the first that has none."""
    own = ((path, head) for path, head in _own(group) if name in (None, path.stem))
    found = next(((path, head) for path, head in own if not LINE.search(head)), None)
    if found is None:
        line = f"# @package {package}"
        which = f"{group}/{name}" if name else f"a yaml of {group}"
        return (
            f"{which} sets keys below {group}, where nothing reads them; begin the file with the line '{line}', and"
            " save it as UTF-8 without a byte order mark, which would hide that line"
        )
    path, head = found
    line = f"# @package {package.replace('NAME', path.stem)}"
    if head == BOM:
        return f"{path} begins with a byte order mark, which hides its line '{line}'; save it as UTF-8 without one"
    return (
        f"{path}: without a line '# @package ...' its settings lie below {group}, where nothing reads them; begin the"
        f" file with the line '{line}'"
    )


def _chosen(group: str) -> str | None:
    """The option of a group that was chosen, where there is one and it is known."""
    choices: Any = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    name = choices.get(group)
    return name if isinstance(name, str) else None


def _own(group: str) -> list[tuple[Path, str]]:
    """The yamls of a group in config folders of the user's, with what they begin with; those with a mark come first."""
    if not GlobalHydra.instance().is_initialized():
        return []
    places = [str(element.path) for element in GlobalHydra.instance().config_loader().get_search_path().get_path()]
    folders = [Path(place.removeprefix("file://")) for place in places if place and not place.startswith("pkg://")]
    files = [path for folder in folders for path in sorted((folder / group).glob("*.y*ml"))]
    heads = [(path, path.read_text(encoding="utf-8", errors="replace")[:HEAD]) for path in files]
    heads = [(path, BOM if head.startswith(BOM) else head) for path, head in heads]
    return sorted(heads, key=lambda one: one[1] != BOM)
