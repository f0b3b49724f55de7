"""Losses are made once, and groups of weights are there in time."""

from __future__ import annotations

import pytest
from confs import compose
from torch import nn

from hardneg.data.toy import Toy
from hardneg.errors import ConfigError
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.training.objective import check_groups, make_losses, objective
from hardneg.training.prepare_negatives import Negatives

DISTILLED = ("loss=[infonce,embed_distill]", "+encoder@loss.embed_distill.teacher.encoder=static")


def make():
    return nn.Linear(2, 2)


@pytest.mark.parametrize("group", ["loss: {lr: 1e-3}", "layer: {lr: 1e-3, match: '*projection*'}"])
def test_a_group_may_name_the_projection_that_is_made_once_the_widths_are_known(group):
    losses = {"embed_distill": EmbedDistill()}
    cfg = compose(*DISTILLED, f"optimizer.groups={{{group}}}")
    check_groups(cfg, losses, make)
    assert losses["embed_distill"].projection is None, "the run's own loss was changed"
    with pytest.raises(ConfigError, match="matches no trained weight"):
        check_groups(cfg, {"embed_distill": EmbedDistill(projection=False)}, make)


def test_the_losses_of_a_run_are_made_once():
    cfg = compose(*DISTILLED)
    losses = make_losses(cfg, Toy(docs=120, queries=60, names=12, attributes=6).load())
    assert list(losses) == ["infonce", "embed_distill"]
    made = objective(cfg, Negatives({}, {}), {}, losses)
    assert all(made.losses[name] is loss for name, loss in losses.items())
