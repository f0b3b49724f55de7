"""The data that something was tested on, opened again as `hardneg evaluate` or a training opened them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hardneg.config import classes, started_with
from hardneg.config.command_words import key_of
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.data.test_only import CHOICES, TEST, Own, open_for_testing
from hardneg.errors import ConfigError
from hardneg.runs.folder import checkpoint_of
from hardneg.runs.saved_config import open_data, read_config


def open_tested(cfg: DictConfig, own: Own, given: Collection[str]) -> RetrievalData:
    """Open the data of a config of `hardneg evaluate`; `own` is what was trained on, `given` the keys that were given.

    A set without splits is all `test`, unless it was trained on or the keys say what is held out.
    """
    said = splits_of(cfg.split) != [TEST] or not {"split", *(f"data.{key}" for key in CHOICES)}.isdisjoint(given)
    return open_for_testing(classes.build(cfg.data), Path(cfg.cache), own, said, "data", given)


def trained_on(ckpt_path: str | Path) -> Own:
    """The data of the run that made a checkpoint; empty where it is not in a run folder."""
    folder = Path(ckpt_path).resolve().parent.parent
    if not (folder / started_with.CONFIG).is_file():
        return Own()
    return Own.of(classes.plain(read_config(folder).get("data")) or {})


def open_again(folder: Path) -> RetrievalData:
    """Open the data that a run folder's training or evaluation was tested on."""
    cfg = read_config(folder)
    if _is_training(cfg):
        return open_data(folder)
    return open_tested(cfg, _evaluated(folder, cfg), {key_of(word) for word in started_with.words_of(folder)})


def tested_split(cfg: Any) -> Any:
    """What a training's or an evaluation's config says that it tests on: a split, several, or None."""
    return cfg.split.test if _is_training(cfg) else cfg.split


def behind(paths: Iterable[Path]) -> Own | None:
    """What the models behind checkpoints, run folders and run files in them were trained on; None where none is known.

    What any of them was trained on keeps its splits; where they held out different shares, the first one's.
    """
    found = [own for own in map(_behind, paths) if own is not None]
    if not found:
        return None
    columns = next((own.columns for own in found if own.columns), {})
    return Own(dict(place for own in reversed(found) for place in own.places.items()), columns)


def _behind(path: Path) -> Own | None:
    if path.suffix == ".ckpt":
        return trained_on(path)
    places = [path] if path.is_dir() else list(path.resolve().parents[:2])  # test.run, or test/SET.run
    folder = next((place for place in places if (place / started_with.CONFIG).is_file()), None)
    if folder is None:
        return None
    cfg = read_config(folder)
    return Own.of(classes.plain(cfg.get("data")) or {}) if _is_training(cfg) else _evaluated(folder, cfg)


def _is_training(cfg: Any) -> bool:
    """Whether this is the config of a training, which names a split for each purpose."""
    return isinstance(cfg.get("split"), DictConfig)


def _evaluated(folder: Path, cfg: Any) -> Own:
    """What the checkpoint was trained on that an evaluation in this folder ranked with."""
    cwd = started_with.of_hydra(folder, "hydra.runtime.cwd")
    try:
        return trained_on(checkpoint_of(Path(str(cwd or ""), str(cfg.get("ckpt_path")))))
    except ConfigError:  # it is gone
        return Own()
