"""Every source with every loss and every filter that the config admits trains; a newcomer's yaml takes part."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import lightning as L
import pytest
import torch
from confs import compose, names
from omegaconf import OmegaConf

from hardneg.config import classes
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.towers import Towers
from hardneg.errors import ConfigError
from hardneg.negatives.base import OfflineSource, Setting
from hardneg.negatives.mixture import Mixture
from hardneg.preflight.config import check_config
from hardneg.retrieval.model import Model
from hardneg.training.base import Objective
from hardneg.training.module import DualEncoder
from hardneg.training.schedule import Schedule

TEACHER = {"_target_": "newcomers.GoodTeacher"}
CASES = [(s, loss, rule) for s in names("negatives") for loss in names("loss") for rule in names("filter")]


@dataclass(frozen=True)
class World:
    """What all combinations share: the config with every option in it, the data, the tokens and one cache."""

    node: dict[str, Any]
    training: TrainingSet
    queries: TokenTable
    docs: TokenTable
    setting: Setting
    towers: Towers


@pytest.fixture(scope="module")
def world(toy, tmp_path_factory):
    groups = {group: f"{group}=[{','.join(names(group))}]" for group in ("negatives", "loss", "filter")}
    cfg = compose(*groups.values(), "logger=csv", "encoder.dim=8", "encoder.vocab_size=300", "batch_size=12")
    node = classes.plain(cfg)
    for source in node["negatives"].values():
        if "teacher" in source:
            source |= {"teacher": TEACHER, "depth": 12}
    cache = tmp_path_factory.mktemp("combinations")
    recipe = classes.build(cfg.encoder)
    tokenizer = recipe.tokenizer(toy.corpus)
    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(tokenizer))
    model = Model.over(toy, towers, recipe, tokenizer, "32-true", cache)
    training = TrainingSet(toy)
    return World(node, training, model.queries, model.docs, Setting(training, {}, cache, model, device="cpu"), towers)


def refused(source, loss, rule):
    """Nothing but this is refused: to read the scores of a teacher that the source cannot have."""
    return (loss.needs_teacher or rule.needs_teacher) and not source.has_teacher


@pytest.mark.parametrize(("name", "loss_name", "filter_name"), CASES, ids=["-".join(case) for case in CASES])
def test_every_combination_that_is_admitted_trains(world, name, loss_name, filter_name, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    node = {**world.node}
    for group, chosen in (("negatives", name), ("loss", loss_name), ("filter", filter_name)):
        node[group] = {chosen: copy.deepcopy(world.node[group][chosen])}
    source = classes.build_group(node["negatives"], "negatives")[name]
    loss = classes.build_group(node["loss"], "loss")[loss_name]
    rule = classes.build_group(node["filter"], "filter")[filter_name]
    if refused(source, loss, rule):
        with pytest.raises(ConfigError, match="teacher"):
            check_config(OmegaConf.create(node))
        return
    check_config(OmegaConf.create(node))
    before, module = train(world, {name: source}, {loss_name: loss}, {filter_name: rule})
    value = module.trainer.callback_metrics["train/loss"]
    assert module.trainer.global_step == 2 and value.isfinite()
    metrics = module.trainer.callback_metrics
    assert metrics[f"negatives/{name}/count"] >= 0
    after = module.towers.state_dict()
    assert all(tensor.isfinite().all() for tensor in after.values())
    if value > 0 and metrics[f"negatives/{name}/count"] > 0:
        assert any(not torch.equal(before[key], after[key]) for key in before), "nothing was learnt"


def train(world, sources, losses, filters):
    """Train the shared tower's copy two steps; returns the weights before and the module."""
    for rule in filters.values():
        rule.prepare(world.training)
    setting = replace(world.setting, filters=filters)
    offline = {key: source for key, source in sources.items() if isinstance(source, OfflineSource)}
    for source in offline.values():
        source.prepare(setting)
        if getattr(source, "follows_model", False):
            source.mine(setting)
    seen = ("positive", *offline, *(key for key in sources if key not in offline))
    mixture = Mixture(offline, seen, seed=1)
    collate = Collate(world.queries, world.docs, world.training, mixture.has_teacher)
    batches = Batches(TrainingRows(world.training, mixture), collate, batch_size=12, seed=1)
    objective = Objective(filters, losses, seen, partial(torch.optim.SGD, lr=0.1), Schedule("constant", 0.0), seed=1)
    online = {key: source for key, source in sources.items() if key not in offline}
    module = DualEncoder(copy.deepcopy(world.towers), online, objective, card={})
    before = {key: value.clone() for key, value in module.towers.state_dict().items()}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    trainer = L.Trainer(max_steps=2, accelerator="cpu", log_every_n_steps=1, enable_model_summary=False, **quiet)
    trainer.fit(module, batches)
    return before, module
