"""What a run minimises and how: losses, optimizer, schedule, from the config."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from omegaconf import DictConfig
from torch import nn

from hardneg.config import classes
from hardneg.data.tables import RetrievalData
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss, Weighed
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.negatives.base import Setting
from hardneg.teachers.stored_vectors import StoredVectors
from hardneg.training.base import Objective
from hardneg.training.parameter_groups import ParameterGroups, optimizer_alone
from hardneg.training.prepare_negatives import Negatives


def make_losses(cfg: DictConfig, data: RetrievalData) -> dict[str, Weighed]:
    """Make the losses, and tell them which queries each data set has."""
    losses: dict[str, Weighed] = classes.build_group(cfg.loss, "loss")
    for loss in losses.values():
        if isinstance(loss, Loss):
            loss.over({part.name: part.queries for part in data.mixed})
    return losses


def teacher_vectors(losses: Mapping[str, Weighed], setting: Setting) -> StoredVectors | None:
    """The vectors that a loss wants ours to be like, embedded now or before; None where none does."""
    for loss in losses.values():
        if isinstance(loss, EmbedDistill):
            return loss.teacher.vectors(setting.training, loss.documents, setting.cache, setting.device)
    return None


def objective(
    cfg: DictConfig, negatives: Negatives, filters: Mapping[str, CandidateFilter], losses: Mapping[str, Weighed]
) -> Objective:
    """Make optimizer and schedule, beside what they minimise."""
    return Objective(
        filters=filters,
        losses=losses,
        names=negatives.names,
        optimizer=classes.build(optimizer_alone(classes.plain(cfg.optimizer))),
        schedule=classes.build(cfg.schedule),
        seed=cfg.seed,
        groups=ParameterGroups.of(classes.plain(cfg.optimizer)),
    )


def check_groups(cfg: DictConfig, losses: Mapping[str, Weighed], make: Callable[[], nn.Module]) -> None:
    """Raise `ConfigError`, before anything is mined, for groups of weights that the model does not have.

    Makes the model once for that, by `make`, and only where all weights are not treated alike. What a loss may learn
    once the widths of vectors are known counts as learned.
    """
    groups = ParameterGroups.of(classes.plain(cfg.optimizer))
    if groups.plain:
        return
    with torch.random.fork_rng():
        learning: dict[str, nn.Module] = {name: copy.deepcopy(loss) for name, loss in losses.items()}
        for loss in learning.values():
            if isinstance(loss, EmbedDistill) and loss.may_learn:
                loss.make_projection(1, 2)
        groups.over(nn.ModuleDict({"towers": make(), "losses": nn.ModuleDict(learning)}), 1.0)
