"""A run that ends within its warm-up would never draw the negatives that it is named for."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hardneg.data.same_set_batches import Order
from hardneg.errors import ConfigError
from hardneg.training.warmup_epochs import check_warmup

MINED = {"_target_": "hardneg.negatives.stored.Stored", "k": 2, "depth": 9}
DENSE = {**MINED, "miner": {"_target_": "hardneg.mining.dense.Dense"}}
BM25 = {**MINED, "miner": {"_target_": "hardneg.mining.bm25.BM25"}}


def config(trainer, source=DENSE, **more):
    node = {"remine": {"warmup_epochs": 2}, "batch_size": 10, "ckpt_path": None, "negatives": {"mined": source}}
    return OmegaConf.create({**node, "trainer": {"max_epochs": -1, "max_steps": -1, **trainer}, **more})


# 95 queries are 9 batches of 10 an epoch.
@pytest.mark.parametrize(
    "trainer",
    [{"max_steps": 18}, {"max_steps": 10, "accumulate_grad_batches": 2}, {"max_epochs": 3, "max_steps": 5}],
)
def test_a_run_that_never_mines_is_refused(trainer):
    with pytest.raises(ConfigError, match=r"remine\.warmup_epochs=2 is \d+ steps here, and leaves none of the run's"):
        check_warmup(config(trainer), Order({"a": 95}))


@pytest.mark.parametrize(
    "cfg",
    [
        config({"max_steps": 19}),
        config({"max_epochs": 3}),
        config({"max_steps": 11, "accumulate_grad_batches": 2}),
        config({"max_steps": 5}, BM25),
        config({"max_steps": 5}, ckpt_path="last.ckpt"),
        config({"max_steps": 5}, remine={"warmup_epochs": 0}),
        config({"max_steps": 5, "fast_dev_run": True}),
    ],
)
def test_one_that_mines_or_needs_not_to_is_let_through(cfg):
    check_warmup(cfg, Order({"a": 95}))
