"""A tower without padding whose weights are split over two gloo ranks (FSDP2): the numbers of one process."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import warm
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from hardneg.data.tokens import token_tables
from hardneg.data.toy import Toy
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer
from hardneg.system.split_weights import split_weights

RANKS = 2


def step(bert, folder, rows, split=False):
    """Vectors of these rows, of texts of many lengths, and the gradients of all weights."""
    toy = Toy(docs=120, queries=40).load()
    recipe = Transformer(model=str(bert), dropout=0.0, tokens=100_000, unpad=True).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer))
    if split:
        for tower in towers.towers.values():
            split_weights(tower, tower.blocks(), init_device_mesh("cpu", (RANKS,)), bf16=False)
    tables = token_tables(toy, tokenizer, recipe.query, recipe.document, folder)
    queries, docs = (table.batch(rows) for table in tables)
    assert len(set(docs.lengths.tolist())) > 1, "or nothing would be without padding"
    q, d = towers.both(queries, docs)
    (q * d).sum(dim=1).square().mean().backward()
    grads = {name: p.grad for name, p in towers.named_parameters() if p.grad is not None}
    whole = {name: g.full_tensor() if isinstance(g, DTensor) else g for name, g in grads.items()}
    return torch.cat([q, d]).detach(), whole


def _rank(rank, port, bert, results):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS, timeout=timedelta(seconds=60))
    torch.save(step(bert, results / f"{rank}", np.arange(4) + 4 * rank, split=True), results / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(bert, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    warm.spawn(_rank, args=(port, bert, results), nprocs=RANKS)
    return [torch.load(results / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


def test_split_weights_and_no_padding_give_the_numbers_of_one_process(ranks, bert, tmp_path):
    vectors, grads = step(bert, tmp_path, np.arange(8))
    q, d = zip(*(vectors.split(4) for vectors, _ in ranks), strict=True)
    torch.testing.assert_close(torch.cat([*q, *d]), vectors)
    for _, found in ranks:
        assert found.keys() == grads.keys() and len(grads) > 20
        for name, grad in grads.items():
            torch.testing.assert_close(found[name], grad, rtol=1e-4, atol=1e-6)
