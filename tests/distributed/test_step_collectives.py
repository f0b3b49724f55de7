"""What ranks say to each other in a step: a stop that no host waits for its device for, and no copy of a queue."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import lightning as L
import numpy as np
import pytest
import torch
import torch.distributed as dist
import warm
from torch.nn.parallel import DistributedDataParallel

from hardneg.encoders.static import Static, StaticTower
from hardneg.encoders.towers import Towers
from hardneg.losses.gor import GOR
from hardneg.losses.infonce import InfoNCE
from hardneg.matrix.embedded import Embedded
from hardneg.mining.bm25 import BM25
from hardneg.mining.store import Store
from hardneg.negatives.queue import Queue
from hardneg.negatives.stored import Stored
from hardneg.negatives.swap import Swap
from hardneg.system import collectives
from hardneg.testing.synthetic import make_batch, make_candidates, random_units
from hardneg.training.base import Objective
from hardneg.training.callbacks.swap_negatives import SwapNegatives
from hardneg.training.module import DualEncoder
from hardneg.training.schedule import Schedule

RANKS, STOP_AT = 2, 3


def heard_at(rank):
    """The step at whose end this rank hears that rank 1 was told to stop."""
    anywhere = collectives.AnywhereBefore()
    return next(step for step in range(10) if anywhere(rank == 1 and step >= STOP_AT))


def queue_of_a_rank(rank):
    """A queue that ranks have filled with documents of their own, and one that DDP has been free to overwrite."""
    objective = Objective({}, {"infonce": InfoNCE()}, ("positive", "queue"), torch.optim.SGD, Schedule(), seed=1)
    module = DualEncoder(Towers(Static(dim=4), StaticTower(10, 4, True)), {"queue": Queue(8, logq=True)}, objective, {})
    queue = module.sources["queue"]
    for step in range(3):
        ids = torch.arange(4).reshape(2, 2) + 10 * step + 100 * rank
        queue.update(random_units(2, 2, 4, seed=10 * step + rank).detach(), make_batch(ids.tolist()))
    filled = {name: buffer.clone() for name, buffer in queue.named_buffers()}
    queue.ids.fill_(rank)
    module.forward = lambda: sum(p.sum() for p in module.towers.parameters())
    DistributedDataParallel(module)()
    return filled, queue.ids.clone()


def spread(rows):
    """The spread-out term of these rows of a batch of four, and the gradient of its queries and documents."""
    q, d = (random_units(4, *more, 4, seed=seed).detach()[rows] for seed, more in ((0, ()), (1, (2,))))
    batch = make_batch(torch.tensor([[0, 1], [2, 3], [0, 4], [5, 6]])[rows], query_ids=torch.arange(4)[rows])
    value = GOR(documents="all")(Embedded(q.requires_grad_(), d.requires_grad_(), {}), batch)
    return value.detach(), torch.autograd.grad(value, [q, d])


def swapped(rows, folder):
    """What has left the lists after four steps of these rows of four queries, and what a checkpoint holds of it."""
    source = Stored(1, BM25(), depth=4, sampling="top", swap=Swap(3, floor=0.5))
    source.use(Store(folder))
    callback = SwapNegatives({"mined": source}, ("positive", "mined"))
    scores = torch.rand(4, 4, 2, generator=torch.Generator().manual_seed(0))
    trainer = Mock(spec=L.Trainer, global_step=0, loggers=[])
    for step in scores:
        drawn = [[99, *source.draw(query, np.random.default_rng(0)).ids.tolist()] for query in range(4)]
        offered = make_candidates(step[rows], ids=torch.tensor(drawn)[rows], query_ids=torch.arange(4)[rows], slots=2)
        callback.see(replace(offered, names=("positive", "mined")))
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, Mock(spec=L.LightningModule))
    return torch.from_numpy(source.swapped.out(np.arange(4))), callback.state_dict()["sources"]["mined"]


def _rank(rank, port, results):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS, timeout=timedelta(seconds=60))
    said = spread(slice(2 * rank, 2 * rank + 2))
    swaps = swapped(slice(2 * rank, 2 * rank + 2), results)
    torch.save((heard_at(rank), *queue_of_a_rank(rank), said, swaps), results / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    ids = np.arange(16, dtype=np.int32).reshape(4, 4)
    for key, array in {"ids": ids, "scores": ids, "positive": ids, "reasons": np.zeros((4, 4), np.uint8)}.items():
        np.save(results / f"{key}.npy", array)
    (results / "card.json").write_text('{"reasons": ["kept"]}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    warm.spawn(_rank, args=(port, results), nprocs=RANKS)
    said = [torch.load(results / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]
    return [[*of_rank, swapped(slice(0, 4), results)] for of_rank in said]


def test_all_ranks_stop_at_the_step_after_the_one_that_was_told(ranks):
    assert [heard for heard, *_ in ranks] == [STOP_AT + 1] * RANKS


def test_ranks_fill_equal_queues_and_ddp_sends_none(ranks):
    (_, one, first, *_), (_, two, second, *_) = ranks
    assert one.keys() == {"emb", "ids", "pointer", "steps", "sampled"}
    assert all(torch.equal(one[name], two[name]) for name in one) and set(one["ids"].tolist()) > {20, 120}
    assert first.tolist() == [0] * 8 and second.tolist() == [1] * 8, "rank 0's queue was sent to the others"


def test_the_spread_of_two_ranks_is_that_of_one_process(ranks):
    value, gradients = spread(slice(0, 4))
    said = [of_rank[3] for of_rank in ranks]
    for of_rank, _ in said:
        torch.testing.assert_close(of_rank, value)
    for place, expected in enumerate(gradients):
        found = torch.cat([of_rank[place] for _, of_rank in said]) / RANKS  # DDP takes their mean
        torch.testing.assert_close(found, expected)


def test_ranks_swap_the_negatives_that_one_process_would(ranks):
    for *_, (out, state), (alone, of_one) in ranks:
        assert torch.equal(out, alone) and 0 < out.sum() < out.numel()
        assert state["store"] == of_one["store"] and len(state["held"]["docs"]) == 4, "a step waits to be judged"
        for part in ("swapped", "held"):
            assert all(torch.equal(state[part][key], of_one[part][key]) for key in of_one[part])


def test_alone_it_is_heard_at_once():
    anywhere = collectives.AnywhereBefore()
    assert not anywhere(False) and anywhere(True)
