"""A checkpoint is trained on from with other sources and losses."""

from __future__ import annotations

import pytest
import torch
from losses_alone import Module
from torch import nn
from torch.optim import AdamW

from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.triplet import Triplet
from hardneg.negatives.queue import Queue
from hardneg.training.other_parts import same_weights
from hardneg.training.parameter_groups import ParameterGroups, make_optimizer


def module(queue=None, **losses):
    made = Module(**losses)
    made.sources = nn.ModuleDict({} if queue is None else {"queue": queue})
    return made


def filled(size, **how):
    queue = Queue(size, **how)
    queue.emb, queue.ids = torch.ones(size, 3), torch.arange(size)
    return queue


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "ids"),
    [
        (None, Queue(4), [-1] * 4),
        (filled(4), Queue(4), [0, 1, 2, 3]),
        (filled(2), Queue(4), [-1] * 4),
        (filled(4), Queue(4, logq=True), [-1] * 4),
        (filled(4, logq=True), Queue(4), [0, 1, 2, 3]),
        (filled(4), None, None),
    ],
)
def test_a_queue_is_added_left_out_or_of_another_size(before, after, ids, averaged):
    was, now = module(before, infonce=InfoNCE(0.02)), module(after, infonce=InfoNCE(0.05))
    checkpoint = {"state_dict": was.state_dict()}
    if averaged:
        checkpoint["current_model_state"] = was.state_dict()
    now.on_load_checkpoint(checkpoint)
    for state in checkpoint.values():
        now.load_state_dict(state)
    assert after is None or after.ids.tolist() == ids
    assert now.losses["infonce"].temperature.item() == pytest.approx(0.02)


def test_a_loss_is_added_or_left_out():
    checkpoint = {"state_dict": module(triplet=Triplet()).state_dict()}
    now = module(infonce=InfoNCE(0.05))
    now.on_load_checkpoint(checkpoint)
    now.load_state_dict(checkpoint["state_dict"])
    assert now.losses["infonce"].temperature.item() == pytest.approx(0.05)


def test_one_that_learns_something_is_named():
    with pytest.raises(ConfigError, match=r"the checkpoint has no losses.infonce.log_temperature, which is trained"):
        module(infonce=InfoNCE(0.05, learn_temperature=True)).on_load_checkpoint({"state_dict": {}})


@pytest.mark.parametrize("learned", [True, False])
def test_a_temperature_that_only_one_of_the_two_runs_learns_is_told(learned):
    """Both have it in their state; the optimiser has it in one."""

    def optimizer(learn_temperature):
        made = module(infonce=InfoNCE(0.05, learn_temperature=learn_temperature))
        made.encoder = nn.Linear(2, 2)
        return make_optimizer(AdamW, ParameterGroups(), made)

    now = optimizer(learned)
    now.register_load_state_dict_pre_hook(same_weights)
    now.load_state_dict(optimizer(learned).state_dict())
    with pytest.raises(ConfigError, match="a learned temperature is one"):
        now.load_state_dict(optimizer(not learned).state_dict())
