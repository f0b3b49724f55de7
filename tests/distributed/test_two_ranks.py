"""Two gloo ranks with batch B give the gradients of one process with batch 2B, for every source and loss.

Those that remember earlier steps take several.
"""

from __future__ import annotations

import itertools
import os
import socket
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import warm
from hydra import compose, initialize_config_module

from hardneg.config import classes, composition
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.sampler import EpochSampler
from hardneg.data.tokens import TokenTable
from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.towers import Towers
from hardneg.negatives.base import OfflineSource, Setting
from hardneg.negatives.mixture import Mixture
from hardneg.teachers.guide_vectors import guide, taught_by
from hardneg.training.base import Objective
from hardneg.training.module import DualEncoder
from hardneg.training.schedule import Schedule

BATCH = 8

TEACHER = "negatives.bm25.teacher={_target_: newcomers.GoodTeacher}"
COMBINATIONS = {
    "in_batch": ["negatives=[in_batch]"],
    "in_batch positives only": ["negatives=[in_batch,bm25]", "negatives.in_batch.hard=false"],
    "random": ["negatives=[in_batch,random]"],
    "bm25": ["negatives=[in_batch,bm25]"],
    "given": ["negatives=[in_batch,given]"],
    "no in_batch": ["negatives=[random]"],
    "symmetric": ["negatives=[in_batch]", "loss.infonce.symmetric=true", "loss.infonce.learn_temperature=true"],
    "hardness": ["negatives=[in_batch,bm25]", "loss.infonce.hardness=5.0", "loss.infonce.hardness_sources=[in_batch]"],
    "logq": ["negatives=[in_batch,random]", "negatives.in_batch.logq=true"],
    "matryoshka": ["negatives=[in_batch,bm25]", "encoder.matryoshka=[4,8]"],
    "matryoshka, symmetric": ["encoder.matryoshka={8: 0.5}", "loss.infonce.symmetric=true"],
    "all together": [
        *("negatives=[in_batch,bm25]", "negatives.in_batch.logq=true", "loss=[infonce,triplet]"),
        *("encoder.matryoshka=[8]", "loss.infonce.hardness=5.0"),
    ],
    "triplet": ["negatives=[in_batch,random]", "loss=triplet"],
    "both losses": ["negatives=[in_batch,bm25]", "loss=[infonce,triplet]"],
    "several positives": ["negatives=[in_batch,bm25]", "negatives.in_batch.hard=false", "loss.infonce.symmetric=true"],
    "blocks": ["negatives=[in_batch,blocks,bm25]", "encoder.matryoshka=[8]"],
    "guide": [
        *("negatives=[in_batch,blocks,bm25,queue]", "filter=[known_positives,guide]", "negatives.queue.size=50"),
        *("+encoder@filter.guide.encoder=static", "filter.guide.encoder.dim=8", "filter.guide.precision=32-true"),
    ],
    "in-batch teacher": [
        *("negatives=[in_batch,bm25]", "loss=margin_mse", "+loss@loss.margin_mse_in_batch=margin_mse", TEACHER),
        *("loss.margin_mse.sources=[bm25]", "loss.margin_mse_in_batch.sources=[in_batch]"),
        *("+teacher@negatives.in_batch.teacher=bi_encoder", "+encoder@negatives.in_batch.teacher.encoder=static"),
        *("negatives.in_batch.teacher.encoder.dim=8", "negatives.in_batch.teacher.precision=32-true"),
    ],
    "queue": ["negatives=[in_batch,queue]", "negatives.queue.size=50"],
    "momentum": ["negatives=[queue]", "negatives.queue.size=40", "encoder.momentum=0.5"],
    "frozen documents": ["negatives=[in_batch,queue,bm25]", "negatives.queue.size=50", "encoder.freeze=document"],
    "grad_cache": ["negatives=[in_batch,bm25]", "encoder.grad_cache=true", "encoder.tokens=64"],
    "kl": ["negatives=[in_batch,bm25]", "loss=[infonce,kl]", TEACHER, "negatives.bm25.relabel=390.0"],
    "margin_mse": ["negatives=[in_batch,bm25]", "loss=margin_mse", TEACHER, "negatives.bm25.sampling=stratified"],
}
STEPS = {"queue": 4, "guide": 4, "frozen documents": 4, "momentum": 4}
POSITIVES = {"several positives": 2, "kl": 2}


def gradients(name, cache, rank=0, world=1):
    """Gradients of the mean loss over all ranks, on the last of the first global batches of 2 * BATCH rows."""
    os.environ["HARDNEG_TARGETS"] = "newcomers."
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        cfg = compose("train", ["data=toy", "encoder.dim=16", *COMBINATIONS[name]])
    positives = POSITIVES.get(name, 1)
    training = TrainingSet(Toy(docs=400, queries=120, positives=2 * positives - 1).load())
    recipe = classes.build(cfg.encoder)
    tokenizer = recipe.tokenizer(training.data.corpus)
    queries = TokenTable.build(training.data.queries, tokenizer, recipe.query, cache, "queries")
    docs = TokenTable.build(training.data.corpus, tokenizer, recipe.document, cache, "documents")
    sources = classes.build_group(cfg.negatives, "negatives")
    filters = classes.build_group(cfg.filter, "filter")
    guide(filters, training, "all", cache, "cpu")
    losses = classes.build_group(cfg.loss, "loss")
    offline = {name: s for name, s in sources.items() if isinstance(s, OfflineSource)}
    for source in sources.values():
        source.prepare(Setting(training, filters, cache))
    online = {name: s for name, s in sources.items() if name not in offline}
    if "in_batch" in online and online["in_batch"].teaches_live:
        online["in_batch"].read(taught_by(online["in_batch"].teacher, training, "all", cache, "cpu"))
        losses["margin_mse_in_batch"].live_teacher = True
    names = ("positive", *offline, *online)
    mixture = Mixture(offline, names, seed=1)
    rows = TrainingRows(training, mixture, positives)
    collate = Collate(queries, docs, training, mixture.has_teacher)
    sampler = EpochSampler(len(rows), 2 * BATCH // world, 1, rank, world)

    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(tokenizer))
    objective = Objective(filters, losses, names, torch.optim.SGD, Schedule(), seed=1)
    module = DualEncoder(towers, online, objective, card={})
    module.log_step = lambda *_: None  # there is no trainer
    parameters = [p for p in module.parameters() if p.requires_grad]
    for keys in itertools.islice(sampler, STEPS.get(name, 1)):
        for p in parameters:
            p.grad = None
        module.training_step(collate(rows.__getitems__(keys)), 0).backward()
        for p in parameters:  # what DDP does
            if world > 1:
                dist.all_reduce(p.grad)
                p.grad /= world
        with torch.no_grad():  # plain descent: Adam would enlarge the rounding of tiny gradients
            for p in parameters:
                p -= 0.5 * p.grad
        towers.follow()
    if "queue" in online:
        assert (online["queue"].ids >= 0).sum() > 2 * BATCH, "the queue was hardly filled"
    return [p.grad for p in parameters]


def _rank(rank, port, cache, results):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=120))
    for name in COMBINATIONS:
        grads = gradients(name, cache, rank, 2)
        if rank == 0:
            torch.save(grads, results / f"{name}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    cache, results = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("results")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    warm.spawn(_rank, args=(port, cache, results), nprocs=2)
    return cache, results


@pytest.mark.parametrize("name", COMBINATIONS)
def test_two_ranks_give_the_gradients_of_one_with_twice_the_batch(two_ranks, name):
    cache, results = two_ranks
    together = gradients(name, cache)
    apart = torch.load(results / f"{name}.pt", weights_only=True)
    assert len(together) == len(apart)
    for one, two in zip(together, apart, strict=True):
        assert one.abs().max() > 0
        # By the norm: sums are rounded relative to their terms, so an element near 0 may be off by more than itself.
        assert (two - one).norm() < 1e-6 * STEPS.get(name, 1) * one.norm()
