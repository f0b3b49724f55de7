"""One small world in which every source, loss and filter of conf/ can train a few steps, for tests of all of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import lightning as L
import numpy as np
import torch
from confs import CONF, compose, names
from every import EVERY

from hardneg.config import classes
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.towers import Towers
from hardneg.filters.guide import Guide
from hardneg.losses.base import Loss
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.negatives.base import OfflineSource, Setting
from hardneg.negatives.live_teacher import learns_live
from hardneg.negatives.mixture import Mixture
from hardneg.retrieval.embedding_blocks import document_blocks
from hardneg.retrieval.model import Model
from hardneg.teachers.guide_vectors import LookedUp
from hardneg.teachers.stored_vectors import StoredVectors, query_blocks
from hardneg.testing import Conf
from hardneg.training.base import Objective
from hardneg.training.module import DualEncoder
from hardneg.training.schedule import Schedule

TEACHER = {"_target_": "newcomers.GoodTeacher"}
# Those that read scores: a loss over vectors meets neither sources nor filters.
LOSSES = [name for name in names("loss") if issubclass(Conf(CONF).target("loss", name), Loss)]
STEPS_ASIDE = (0, 3, 7)


def together(*groups):
    """Triples of these groups in which every two parts meet at least once; all of them with HARDNEG_TEST_EVERY."""
    every = list(product(*groups))
    if EVERY:
        return every
    numbered = {triple: sum(group.index(part) for group, part in zip(groups, triple, strict=True)) for triple in every}
    chosen = [triple for triple in every if numbered[triple] % 10 in STEPS_ASIDE]  # three in ten, evenly spread
    for pair in ((0, 1), (0, 2), (1, 2)):
        met = {tuple(triple[kind] for kind in pair) for triple in chosen}
        for triple in every:
            if (two := tuple(triple[kind] for kind in pair)) not in met:
                met.add(two)
                chosen.append(triple)
    return chosen


CASES = together(names("negatives"), LOSSES, names("filter"))
QUIET = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False}


@dataclass(frozen=True)
class World:
    """What all combinations share: the config with every option in it, the data, the tokens and one cache."""

    node: dict[str, Any]
    training: TrainingSet
    queries: TokenTable
    docs: TokenTable
    setting: Setting
    towers: Towers

    @property
    def model(self):
        """The towers with their tokens."""
        return self.setting.model

    def parts(self, **chosen):
        """The config with these options alone, as negatives="bm25", and the parts that it makes."""
        node = {**self.node}
        for group, name in chosen.items():
            node[group] = {name: copy.deepcopy(self.node[group][name])}
        return node, {group: classes.build_group(node[group], group) for group in chosen}


def make_world(data, cache, *overrides):
    """Compose every option of conf/ over this data set, with a small static tower unless `overrides` say otherwise."""
    groups = {group: f"{group}=[{','.join(names(group))}]" for group in ("negatives", "loss", "filter")}
    given = any("encoder=" in one for one in overrides)
    small = () if given else ("encoder.dim=8", "encoder.vocab_size=300", "encoder.lr=0.01")
    cfg = compose(*groups.values(), "logger=csv", "batch_size=12", *small, *overrides)
    node = classes.plain(cfg)
    for name, source in node["negatives"].items():
        if "teacher" in source and name != "in_batch":  # whose teacher is a bi-encoder, where `overrides` give one
            source["teacher"] = TEACHER
        if "depth" in source:
            source["depth"] = 12
    node["filter"]["guide"]["encoder"] = {"_target_": "hardneg.encoders.static.Static"}  # `make_module` has its vectors
    recipe = classes.build(cfg.encoder).resolved()
    tokenizer = recipe.tokenizer(data.corpus)
    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(tokenizer))
    model = Model.over(data, towers, recipe, tokenizer, "32-true", cache)
    training = TrainingSet(data)
    return World(node, training, model.queries, model.docs, Setting(training, {}, cache, model, device="cpu"), towers)


def refused(source, loss, rule):
    """Nothing but this is refused: to read the scores of a teacher that the source cannot have."""
    return (loss.needs_teacher or rule.needs_teacher) and not source.has_teacher


def make_module(world, sources, losses, filters, optimizer=None):
    """A training module over the world's towers, copied, and its batches."""
    for rule in filters.values():
        rule.prepare(world.training)
        if isinstance(rule, Guide):
            rule.read(LookedUp.of(world.model, world.training, "all", world.setting.cache))
    setting = replace(world.setting, filters=filters)
    offline = {key: source for key, source in sources.items() if isinstance(source, OfflineSource)}
    online = {key: source for key, source in sources.items() if key not in offline}
    for source in (*offline.values(), *online.values()):
        source.prepare(setting)
        if getattr(source, "teaches_live", False):
            source.read(LookedUp.of(world.model, world.training, "all", world.setting.cache))
        if getattr(source, "follows_model", False):
            source.mine(setting)
    giving = [key for key, one in offline.items() if one.has_teacher]
    for name, loss in losses.items():
        if isinstance(loss, Loss):
            loss.live_teacher = learns_live(name, loss, sources, giving)
    seen = ("positive", *offline, *online)
    mixture = Mixture(offline, seen, seed=1)
    collate = Collate(world.queries, world.docs, world.training, mixture.has_teacher, taught(world, losses))
    batches = Batches(TrainingRows(world.training, mixture), collate, batch_size=12, seed=1)
    optimizer = optimizer or partial(torch.optim.SGD, lr=0.1)
    objective = Objective(filters, losses, seen, optimizer, Schedule("constant", 0.0), seed=1)
    return DualEncoder(copy.deepcopy(world.towers), online, objective, card={}), batches


def taught(world, losses):
    """The vectors of the world's own towers where a loss learns vectors; None where none does."""
    for loss in losses.values():
        if isinstance(loss, EmbedDistill):
            model, cache = world.model, world.setting.cache
            queries = query_blocks(model, world.training.queries, cache)
            documents = np.arange(len(world.training.data.corpus), dtype=np.int32)
            stored = StoredVectors(queries, document_blocks(model, documents, cache / "vectors"), loss.documents)
            loss.make_projection(world.towers.dim, stored.dim)
            return stored
    return None


def train(world, sources, losses, filters):
    """Train the shared tower's copy two steps; returns the weights before and the module."""
    module, batches = make_module(world, sources, losses, filters)
    before = {key: value.clone() for key, value in module.towers.state_dict().items()}
    L.Trainer(max_steps=2, accelerator="cpu", log_every_n_steps=1, **QUIET).fit(module, batches)
    return before, module
