"""What a run does beside its steps, on a device: evaluation, mining, teachers, larger batches, averages and export."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import lightning as L
import numpy as np
import pytest
import torch
from combinations import QUIET, make_module, make_world
from lightning.pytorch.callbacks import EMAWeightAveraging

from hardneg.encoders import checkpoint
from hardneg.encoders.cross_encoder import CrossEncoder, PairRecipe
from hardneg.exchange.write import write
from hardneg.mining.dense import Dense
from hardneg.negatives.stored import Stored
from hardneg.retrieval.retriever import Retriever
from hardneg.teachers.bi_encoder import BiEncoderTeacher
from hardneg.teachers.cross_encoder import CrossEncoderTeacher
from hardneg.training.base import Objective
from hardneg.training.pair_module import PairCollate, PairModule
from hardneg.training.schedule import Schedule

STEPS = 3
ADAM = partial(torch.optim.AdamW, lr=0.05, fused=True)
# Encoders and options that a step treats in ways of their own.
OPTIONS = {
    "matryoshka": ["encoder.matryoshka=[4]"],
    "momentum": ["encoder.momentum=0.9", "negatives.queue.size=30"],
    "separate": ["encoder.separate=true"],
    "frozen documents": ["encoder.freeze=document"],
    "grad cache": ["encoder.grad_cache=true", "encoder.tokens=64"],
    "logq": ["negatives.queue.logq=true", "negatives.in_batch.logq=true", "negatives.queue.size=30"],
    "symmetric": ["loss.infonce.symmetric=true", "loss.infonce.learn_temperature=true"],
    "hardness": ["loss.infonce.hardness=5.0", "loss.infonce.hardness_sources=[in_batch]"],
    "in-batch teacher": [
        *("+teacher@negatives.in_batch.teacher=bi_encoder", "+encoder@negatives.in_batch.teacher.encoder=static"),
        "loss.margin_mse.sources=[in_batch]",
    ],
    "judged": ["filter.known_positives.mode=drop_judged"],
    "bert": ["encoder=transformer", "encoder.model=BERT", "encoder.tokens=128"],
    "bert, grad cache": ["encoder=transformer", "encoder.model=BERT", "encoder.grad_cache=true", "encoder.tokens=64"],
}


def trained(world, arguments, *callbacks, sources=("in_batch", "queue", "bm25"), losses=("infonce",)):
    """Train by Lightning with all that the options touch."""
    chosen = {"negatives": sources, "loss": losses, "filter": ["known_positives"]}
    parts = {g: {n: world.parts(**{g: n})[1][g][n] for n in picked} for g, picked in chosen.items()}
    module, batches = make_module(world, *parts.values(), optimizer=ADAM)
    limits = {"max_steps": STEPS, "log_every_n_steps": 1, "gradient_clip_val": 1.0}
    L.Trainer(callbacks=list(callbacks), **limits, **arguments, **QUIET).fit(module, batches)
    return module


class Waits(L.Callback):
    """Counts what the steps after the first wait for."""

    def __init__(self, device):
        self.device, self.counted = device, ["nothing was counted"]

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step == 1:
            self.device.waits.clear()
        if trainer.global_step == STEPS:
            # transformers asks before each attention whether a mask hides anything; that is not ours to mend.
            self.counted = [wait for wait in self.device.waits if not wait.startswith("transformers'")]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_trains_as_on_the_cpu_and_never_waits(name, toy, bert, tmp_path, device, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    options = [option.replace("BERT", str(bert)) for option in OPTIONS[name]]
    if not device.exact and "bert" in name:
        options.append("encoder.dropout=0.0")  # its dice are others
    world = make_world(toy, tmp_path, *options)
    waits = Waits(device)
    losses = ("infonce", "margin_mse") if "teacher" in name else ("infonce",)
    here, there = (
        trained(world, device.trainer(), waits, losses=losses),
        trained(world, {"accelerator": "cpu"}, losses=losses),
    )
    assert not waits.counted
    for one, two in zip(here.parameters(), there.parameters(), strict=True):
        device.same(one, two, rtol=1e-5, atol=1e-6)


def test_evaluation_ranks_as_on_the_cpu(world, device):
    retriever = Retriever(world.training.data, world.queries, world.docs, "32-true")
    there = retriever.runs(world.towers, ["dev"], 20)["dev"]
    towers = make_module(world, {}, {}, {})[0].towers.to(device.device)
    assert device.holds(next(towers.parameters()))
    here = retriever.runs(towers, ["dev"], 20)["dev"]
    device.same_ranking(here, there)


@pytest.mark.parametrize("follows", [True, False], ids=["the model", "a model of its own"])
def test_mining_finds_the_lists_of_the_cpu(world, tmp_path, device, follows):
    def mine(where):
        towers = make_module(world, {}, {}, {})[0].towers.to(where)
        miner = Dense() if follows else Dense(encoder=world.model.recipe, precision="32-true")
        source = Stored(k=2, miner=miner, depth=10)
        model = replace(world.model, towers=towers)
        cache = tmp_path / str(where).split(":")[0]
        return source.mine(replace(world.setting, model=model, cache=cache, device=str(where)))

    here, there = mine(device.device), mine("cpu")
    device.same_ranking(here, there)


def test_teachers_score_as_on_the_cpu(world, bert, tmp_path, device):
    queries, docs = np.arange(4, dtype=np.int32), np.arange(20, dtype=np.int32).reshape(4, 5)
    docs[0, 3:] = -1
    recipe = world.model.recipe
    CrossEncoder.load(str(bert), 32).save(tmp_path / "teacher")
    makers = [
        lambda: CrossEncoderTeacher(str(tmp_path / "teacher"), 32, "32-true"),
        lambda: BiEncoderTeacher(encoder=recipe),
    ]
    for make in makers:
        scores = []
        for where in (str(device.device), "cpu"):
            teacher = make()
            teacher.prepare(world.training.data, tmp_path / where[:3], where)
            assert teacher.identity()
            scores.append(teacher.score(queries, docs))
        limit = {"rtol": 1e-5, "atol": 1e-6} if device.exact else {"rtol": 1e-3, "atol": 1e-3}
        np.testing.assert_allclose(*scores, **limit)


def test_a_cross_encoder_trains_and_never_waits(world, bert, device, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    parts = world.parts(negatives="bm25", loss="bce", filter="known_positives")[1]
    _, batches = make_module(world, *parts.values())
    weights = []
    for arguments in (device.trainer(), {"accelerator": "cpu"}):
        torch.manual_seed(0)
        network = CrossEncoder.load(str(bert), 32)
        for part in network.modules():
            if isinstance(part, torch.nn.Dropout) and not device.exact:
                part.p = 0.0  # its dice are others
        batches.collate = PairCollate(network.tokens, world.training, has_teacher=False)
        names = ("positive", "bm25")
        objective = Objective({}, parts["loss"], names, ADAM, Schedule("constant", 0.0), seed=1)
        recipe = PairRecipe(model=str(bert), tokens=256, grad_cache=True)
        waits = Waits(device)
        trainer = L.Trainer(callbacks=[waits], max_steps=STEPS, log_every_n_steps=1, **arguments, **QUIET)
        trainer.fit(PairModule(network, recipe, objective), batches)
        assert not waits.counted
        weights.append(torch.cat([p.detach().cpu().flatten() for p in network.parameters()]))
    device.same(*weights, rtol=1e-4, atol=1e-4)  # Adam enlarges the rounding of tiny gradients


def test_an_average_of_the_weights_is_kept_there(world, device, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    averages = [EMAWeightAveraging(decay=0.5) for _ in range(2)]
    devices = [device.trainer(), {"accelerator": "cpu"}]
    modules = [
        trained(world, arguments, average, sources=["in_batch", "bm25"])
        for arguments, average in zip(devices, averages, strict=True)
    ]
    for one, two in zip(*(module.towers.parameters() for module in modules), strict=True):
        device.same(one, two, rtol=1e-5, atol=1e-6)


def test_what_is_trained_there_is_saved_loaded_and_exported(world, tmp_path, device, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")

    class Save(L.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == STEPS:
                pl_module.card |= checkpoint.card(
                    world.node["encoder"], world.model.recipe, world.model.tokenizer, pl_module.towers
                )
                trainer.save_checkpoint(tmp_path / "last.ckpt")

    module = trained(world, device.trainer(), Save())
    loaded = checkpoint.load(tmp_path / "last.ckpt")
    for one, two in zip(loaded.towers.parameters(), module.towers.parameters(), strict=True):
        assert type(one) is torch.nn.Parameter and torch.equal(one, two.cpu())
    folder = tmp_path / "exported"
    folder.mkdir()
    write(loaded, folder)
    assert list(folder.rglob("model.safetensors"))
