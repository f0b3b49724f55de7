"""Every source with every loss and every filter that the config admits trains; a newcomer's yaml takes part."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from combinations import CASES, LOSSES, make_world, refused, train
from confs import names
from omegaconf import OmegaConf

from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config


@pytest.fixture(scope="module")
def world(toy, tmp_path_factory):
    return make_world(toy, tmp_path_factory.mktemp("combinations"))


@pytest.mark.parametrize(("name", "loss_name", "filter_name"), CASES, ids=["-".join(case) for case in CASES])
def test_every_combination_that_is_admitted_trains(world, name, loss_name, filter_name, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    node, parts = world.parts(negatives=name, loss=loss_name, filter=filter_name)
    if refused(parts["negatives"][name], parts["loss"][loss_name], parts["filter"][filter_name]):
        with pytest.raises(ConfigError, match="teacher"):
            check_config(OmegaConf.create(node))
        return
    check_config(OmegaConf.create(node))
    before, module = train(world, *parts.values())
    value = module.trainer.callback_metrics["train/loss"]
    assert module.trainer.global_step == 2 and value.isfinite()
    metrics = module.trainer.callback_metrics
    assert metrics[f"negatives/{name}/count"] >= 0
    after = module.towers.state_dict()
    assert all(tensor.isfinite().all() for tensor in after.values())
    if value > 0 and metrics[f"negatives/{name}/count"] > 0:
        assert any(not torch.equal(before[key], after[key]) for key in before), "nothing was learnt"


def test_every_two_parts_meet():
    """Of three in ten triples: whatever two parts do to each other is seen, whoever the third is."""
    for kinds in (0, 1), (0, 2), (1, 2):
        asked = {tuple(case[kind] for kind in kinds) for case in CASES}
        groups = [names("negatives"), LOSSES, names("filter")]
        assert asked == set(product(*(groups[kind] for kind in kinds)))
