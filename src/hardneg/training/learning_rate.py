"""`encoder.lr=auto`: the rate that suits the encoder for the number of optimiser steps."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hardneg.config import classes, run_identity
from hardneg.data.same_set_batches import Order
from hardneg.encoders.base import EncoderRecipe
from hardneg.system import distributed
from hardneg.system.counts_in_words import counted
from hardneg.system.screen import ONLY_IN_FILE
from hardneg.training.auto_numbers import Auto

log = logging.getLogger(__name__)

LEARNING_RATE = Auto("the learning rate", "encoder.lr", noted="learning_rate", saved="lr")


def settle_rate(cfg: DictConfig, folder: Path, order: Order) -> DictConfig:
    """Return the config with the rate that `encoder.lr=auto` stands for here, and note it in the run's folder.

    `cfg` has its batch already. A run that goes on takes the rate that it began with, whatever its length is now. Where
    nothing reads `encoder.lr`, as the optimiser was given a rate of its own, it stays as it is.
    """
    if not run_identity.seeks_rate(cfg):
        return cfg
    if (began := LEARNING_RATE.began_with(cfg)) is not None:
        return LEARNING_RATE.settled(cfg, folder, float(began))
    steps = planned_steps(cfg.trainer, order, cfg.batch_size * distributed.world_size())
    recipe: EncoderRecipe = classes.build(cfg.encoder)
    rate = recipe.learning_rate(steps)
    if distributed.rank() == 0:
        log.info("encoder.lr: %g, as encoder.lr=auto takes it for %s", rate, counted(steps, "step"), extra=ONLY_IN_FILE)
    return LEARNING_RATE.settled(cfg, folder, rate)


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
