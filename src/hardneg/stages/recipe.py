"""The stages of a recipe: the command, overrides and run folder of each."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from hardneg.config import started_with, studies
from hardneg.config.command_words import key_of, quoted
from hardneg.config.run_summary import is_complete
from hardneg.data.readers.guess import said_of, with_kind
from hardneg.encoders.merge_shares import shares_of
from hardneg.errors import ConfigError
from hardneg.runs.folder import BEST, CHECKPOINTS, LAST

LIST = "stages.yaml"  # of a recipe: the stages in order, each with its command
MERGE = "merge"  # its yaml names earlier stages: {of: [1_first, 2_second], weights: [0.3, 0.7]} or {of, slerp: 0.5}
KEYS = {"of", "weights", "slerp"}
COMMANDS = ("train", "train-teacher", MERGE)
OURS = ("experiment", "stages", "ckpt_path")  # what the plan itself sets


@dataclass(frozen=True)
class Stage:
    """One command of a recipe; `overrides` hold all but where it runs."""

    name: str
    command: str
    folder: Path
    overrides: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether its results are complete."""
        return self.merged.exists() if self.command == MERGE else is_complete(self.folder)

    @property
    def merged(self) -> Path:
        """Where a stage that merges leaves its result, which later ones use like that of a training."""
        return self.folder / CHECKPOINTS / BEST

    @property
    def begun(self) -> bool:
        """Whether it has trained: with nothing to go on from it starts anew."""
        return self.done or (self.folder / CHECKPOINTS / LAST).exists()

    def asked(self) -> list[str]:
        """The overrides with which it was begun."""
        return started_with.words_of(self.folder)


@dataclass(frozen=True)
class StagesPlan:
    """A recipe's stages in one folder."""

    recipe: str
    folder: Path
    stages: tuple[Stage, ...]
    config_dir: Path | None = None


def recipes(config_dir: Path | None = None) -> dict[str, Path]:
    """The recipes in stages and their lists: folders of conf/experiment, and of experiment/ in the user's own."""
    found: dict[str, Path] = {}
    for conf in (studies.own_folder(), *studies.conf_folders().values(), config_dir):
        if conf is not None:
            found |= {path.parent.name: path for path in sorted(conf.glob(f"experiment/*/{LIST}"))}
    return found


def make_plan(recipe: str, overrides: Sequence[str], folder: Path, config_dir: Path | None = None) -> StagesPlan:
    """Give each stage its overrides: those for all, and those that name it (`2_teacher:batch_size=8`).

    Raises `ConfigError` for an unknown recipe or stage, and for overrides that the plan itself sets.
    """
    there = recipes(config_dir)
    if recipe not in there:
        raise ConfigError(f"there is no recipe {recipe!r} in stages; there are {', '.join(there)}")
    commands = read_list(there[recipe])
    for override in overrides:
        _check(override, list(commands))
    stages: list[Stage] = []
    for name, command in commands.items():
        if command == MERGE:
            if own := [override for override in overrides if _stage_of(override) == name]:
                raise ConfigError(f"{own[0]}: {name} merges earlier stages and takes no overrides; see its yaml")
            words = _merging(there[recipe].with_name(f"{name}.yaml"), folder, [stage.name for stage in stages])
            stages.append(Stage(name, command, folder / name, words))
            continue
        own = [override.removeprefix(f"{name}:") for override in overrides if _stage_of(override) in (None, name)]
        given = (f"experiment={recipe}/{name}", f"stages={quoted(folder)}", *own)
        stages.append(Stage(name, command, folder / name, given))
    return StagesPlan(recipe, folder, tuple(stages), config_dir)


def with_kinds(plan: StagesPlan) -> StagesPlan:
    """Give each stage the kind of the data at its `data.path`, as `hardneg train` does, and say each once.

    Relative paths start in the current folder. Raises `ConfigError` where the kind is not certain.
    """
    stages, said = list[Stage](), list[str]()
    for stage in plan.stages:
        if stage.command != MERGE:
            words, kind = with_kind(list(stage.overrides))
            if kind is not None:
                said.append(said_of(words, kind))
            stage = replace(stage, overrides=tuple(words))
        stages.append(stage)
    sys.stderr.write("".join(f"hardneg stages: {line}\n" for line in dict.fromkeys(said)))
    return replace(plan, stages=tuple(stages))


def _merging(path: Path, folder: Path, earlier: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a stage that merges earlier ones."""
    how = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(how, dict) or not {"of"} <= how.keys() <= KEYS or not isinstance(how["of"], list):
        raise ConfigError(f"{path} must be as {{of: [1_first, 2_second]}}, with weights: or slerp: if they are given")
    unknown = [name for name in how["of"] if name not in earlier]
    if unknown:
        raise ConfigError(
            f"{path}: of: {unknown[0]} is not an earlier stage; the earlier stages are {', '.join(earlier) or 'none'}"
        )
    weights, slerp = how.get("weights"), how.get("slerp")
    weights = None if weights is None else [float(weight) for weight in weights]
    slerp = None if slerp is None else float(slerp)
    try:
        shares_of(len(how["of"]), weights, slerp)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    more = [str(word) for key in ("weights", "slerp") if how.get(key) is not None for word in _listed(key, how[key])]
    return (*(str(folder / name) for name in how["of"]), *more)


def _listed(key: str, value: object) -> list[object]:
    return [f"--{key}", *(value if isinstance(value, list) else [value])]


def read_list(path: Path) -> dict[str, str]:
    """Return the command of each stage, in order; raises `ConfigError` for a list that is not one of stages."""
    try:
        listed = OmegaConf.load(path)
    except YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(listed, DictConfig) or not listed:
        raise ConfigError(f"{path} must list stages, one a line, such as 1_first: train")
    commands = {str(name): command for name, command in listed.items()}
    for name, command in commands.items():
        if command not in COMMANDS:
            raise ConfigError(f"{path}: {name}: {command!r} must be one of {', '.join(COMMANDS)}")
        if not path.with_name(f"{name}.yaml").exists():
            raise ConfigError(f"{path}: there is no experiment {name}.yaml beside it")
    return commands


def _stage_of(override: str) -> str | None:
    """The stage that an override is for, None for all: a name and a colon in front of the key."""
    found = re.match(r"(\w+):", override)
    return found.group(1) if found else None


def _check(override: str, names: list[str]) -> None:
    stage = _stage_of(override)
    if stage is not None and stage not in names:
        raise ConfigError(f"{override}: there is no stage {stage}; there are {', '.join(names)}")
    key = key_of(override.removeprefix(f"{stage}:"))
    if key in OURS or key.startswith("hydra."):
        raise ConfigError(f"{override}: hardneg stages gives {key} itself; leave it out (hydra.run.dir may be given)")
    if override.startswith("-"):
        raise ConfigError(f"{override}: hardneg stages takes overrides, such as seed=2, and --config-dir; no sweeps")
