"""`encoder.lr=auto`: the rate that suits the encoder in a run of so many optimiser steps."""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config import classes, run_identity
from hardneg.config.run_identity import RATE
from hardneg.data.same_set_batches import Order
from hardneg.encoders import checkpoint
from hardneg.encoders.base import EncoderRecipe
from hardneg.runs import status
from hardneg.runs.folder import note_learning_rate
from hardneg.system import distributed

log = logging.getLogger(__name__)


def settle_rate(cfg: DictConfig, folder: Path, order: Order) -> DictConfig:
    """Return the config with the rate that `encoder.lr=auto` stands for here, and note it in the run's folder.

    `cfg` has its batch already. A run that goes on takes the rate that it began with, whatever its length is now. Where
    nothing reads `encoder.lr`, as the optimiser was given a rate of its own, it stays as it is.
    """
    if not run_identity.seeks_rate(cfg):
        return cfg
    if (began := _began_with(cfg)) is not None:
        return _noted(cfg, folder, began)
    steps = planned_steps(cfg.trainer, order, cfg.batch_size * distributed.world_size())
    recipe: EncoderRecipe = classes.build(cfg.encoder)
    rate = recipe.learning_rate(steps)
    if distributed.rank() == 0:
        log.info("encoder.lr: %g, as encoder.lr=auto takes it for %s steps", rate, f"{steps:,}")
    return _noted(cfg, folder, rate)


def planned_steps(trainer: Any, order: Order, width: int) -> int:
    """Return how many optimiser steps a run has whose batches hold `width` queries over all ranks, as Lightning counts.

    What ends a run early (`max_time`, early stopping) does not count, as it does not for the schedule.
    """
    epochs, most = trainer.get("max_epochs"), trainer.get("max_steps", -1)
    if epochs in (None, -1):
        return int(most)
    batches = sum(order.batches(width))
    limit = trainer.get("limit_train_batches")
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    steps = math.ceil(batches / trainer.get("accumulate_grad_batches", 1)) * epochs
    return max(steps if most in (None, -1) else min(steps, most), 1)


def _began_with(cfg: DictConfig) -> float | None:
    """The rate that a run which goes on began with; None for a new run."""
    if not cfg.get("ckpt_path"):
        return None
    folder = Path(str(cfg.ckpt_path)).resolve().parent.parent
    noted = run_identity.found_learning_rate(folder)
    written = folder / ".hydra" / "config.yaml"
    if noted is None and written.is_file():
        noted = OmegaConf.select(OmegaConf.load(written), "encoder.lr")
    if not isinstance(noted, int | float):  # as of a checkpoint that was copied from its folder
        noted = checkpoint.began_with(cfg.ckpt_path).get("lr", RATE)  # before there was `auto`
    return float(noted)


def _noted(cfg: DictConfig, folder: Path, rate: float) -> DictConfig:
    """Return the config with the rate, which the folder's config and status then have too."""
    distributed.agree("the learning rate", rate)
    cfg = copy.deepcopy(cfg)
    with open_dict(cfg), read_write(cfg):
        cfg.encoder.lr = rate
    if distributed.rank() == 0 and status.read(folder) is not None:
        status.note_settled(folder, cfg, learning_rate=rate)
        note_learning_rate(folder, rate)
    return cfg
