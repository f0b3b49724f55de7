"""The folder of a run: what lies where in it, a new one for a new run, and none that another run has used."""

from __future__ import annotations

import copy
import itertools
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config import run_identity, started_with
from hardneg.config.command_words import command_line
from hardneg.config.run_summary import SUMMARY, is_complete
from hardneg.errors import ConfigError
from hardneg.runlog.files import AIM_ID, METRICS, MLFLOW_ID, TENSORBOARD, WANDB_ID
from hardneg.runs import status
from hardneg.system import launch
from hardneg.system.atomic_write import atomic_write

CHECKPOINTS, LAST, BEST = "checkpoints", "last.ckpt", "best.ckpt"
SWEEP = "multirun.yaml"  # in a sweep's folder: Hydra's own config, with the words that the sweep was asked for by
AUDIT = "audit_step_{}.md"  # of the lists that were trained on, where dev fell
BEST_TRIAL = "best.yaml"  # in a search's folder, when it has ended: its best words


def refuse_used(folder: Path, cfg: DictConfig, training: bool, claimed: bool = False) -> None:
    """Raise `ConfigError` for a folder with another run's results: they would be lost, or taken for this one's.

    A training that is not complete goes on there, from a checkpoint of its own. What is no training may be asked for
    once more, with the same config. `claimed`: this process holds the folder's lock, so that nobody is at work there.
    """
    goes_on = training and run_identity.goes_on(cfg.get("ckpt_path"), folder)
    # A rank that is not the first has no say: of a run on several machines the first is at work there already.
    begins = not goes_on and launch.first_rank()
    look = run_identity.written_status if claimed else status.once_left if begins else status.read
    found = look(folder)
    at_work = not claimed and found is not None and found["state"] == "running"
    if begins and at_work:
        raise ConfigError(f"{folder} is at work; wait for its end, or choose another hydra.run.dir")
    complete = is_complete(folder) and (found is None or found["state"] == "done")
    if not goes_on and not at_work and any((folder / CHECKPOINTS).glob("*.ckpt")):
        way = f", or go on with it: {command_line('resume', folder)}"
        if complete:
            way = f"; it is complete, and its results are in {folder / SUMMARY}"
        raise ConfigError(f"{folder} holds a training run already; choose another hydra.run.dir{way}")
    if not complete:
        return
    if goes_on:
        raise ConfigError(
            f"{folder} holds a complete run, whose results would be overwritten; to train it on, choose another"
            f" hydra.run.dir; to run it again from its last checkpoint, delete its {SUMMARY}"
        )
    if training or not holds(folder, cfg):
        raise ConfigError(
            f"{folder} holds the results of an earlier command, which would be overwritten; choose another"
            " hydra.run.dir"
        )


def holds(folder: Path, cfg: DictConfig) -> bool:
    """Whether the run in a folder is that of this config, as far as it has come."""
    found = status.read(folder)
    return found is not None and found.get("identity") == run_identity.identity(cfg, folder)


def new_folder(folder: Path) -> Path:
    """Make this folder, or one with a number behind its name where a run of the same second made it."""
    for number in itertools.count(1):
        own = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        with suppress(FileExistsError):
            own.mkdir(parents=True)
            return own
    raise AssertionError


def clear(folder: Path) -> None:
    """Remove what a failed attempt left and a new one would continue."""
    from hardneg.runs import drawn_stores, rungs  # late: NumPy

    for inner in (CHECKPOINTS, TENSORBOARD):
        shutil.rmtree(folder / inner, ignore_errors=True)
    for left in (METRICS, WANDB_ID, MLFLOW_ID, AIM_ID, drawn_stores.FILE, rungs.FILE, SUMMARY, status.FILE):
        (folder / left).unlink(missing_ok=True)
    for audit in folder.glob(AUDIT.format("*")):
        audit.unlink()


def with_checkpoint(cfg: DictConfig) -> DictConfig:
    """Return the config with the checkpoint in place of a run folder that `ckpt_path` or `init_from` names.

    A training's own `ckpt_path` is one that it goes on from, and stays. Raises `ConfigError` as `checkpoint_of`.
    """
    key = "init_from" if "init_from" in cfg else "ckpt_path"
    if not cfg.get(key):
        return cfg
    found = str(checkpoint_of(Path(cfg[key])))
    cfg = copy.deepcopy(cfg)
    with open_dict(cfg), read_write(cfg):
        cfg[key] = found
    return cfg


def checkpoint_of(source: Path) -> Path:
    """Return a run folder's best checkpoint, else its last, or the checkpoint that `source` is already.

    Raises `ConfigError` where there is none, and for the run of a cross-encoder.
    """
    if source.is_file():
        return source
    found = [source / CHECKPOINTS / name for name in (BEST, LAST)]
    if not any(path.is_file() for path in found):
        raise ConfigError(
            f"{source} is neither a checkpoint nor a run folder: there is no {CHECKPOINTS}/{BEST} or {LAST} in it"
        )
    if (source / "teacher").is_dir():
        raise ConfigError(
            f"{source} trained a cross-encoder; sentence-transformers' CrossEncoder loads {source}/teacher"
        )
    return next(path for path in found if path.is_file())


def note_setting(folder: Path, key: str, value: Any) -> None:
    """Write what `auto` stands for into a run's config, if it has one."""
    saved = started_with.config_of(folder)
    if saved is not None and OmegaConf.select(saved, key) != value:
        OmegaConf.update(saved, key, value)
        with atomic_write(folder / started_with.CONFIG) as draft:
            OmegaConf.save(saved, draft)
