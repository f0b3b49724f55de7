"""Negatives that became easy are swapped in a whole run: cut and resumed, with workers, with a curriculum."""

from __future__ import annotations

import pytest
import torch
from run_folders import column, end_state, last, same

SWAP = ["negatives=[in_batch,bm25,mined]", "negatives.bm25.k=2", "negatives.mined.depth=12", "logger=csv"]
SWAP += ["negatives.mined.sampling=top", "negatives.mined.k=3", "negatives.mined.swap.every_n_steps=4"]
SWAP += ["negatives.bm25.swap.every_n_steps=3", "negatives.bm25.pool=8", "negatives.bm25.swap.floor=0.4"]
SWAP += ["negatives.mined.swap.ratio=1.05", "negatives.mined.swap.floor=0.7"]
SWAP += ["filter=[known_positives,hardest]", "curriculum=custom", "+curriculum.window.bm25=[[2,8],[0,4]]"]
SWAP += ["trainer.max_epochs=4", "remine.every_n_epochs=2", "evaluate.before=false", "evaluate.bm25=null"]


def swapped(folder):
    """What the run's last checkpoint says has left the lists of each source, and how much waits to be judged."""
    callbacks = last(folder)["callbacks"]
    sources = next(state["sources"] for name, state in callbacks.items() if "SwapNegatives" in name)
    return {name: state["swapped"] for name, state in sources.items()}


@pytest.fixture
def whole(hardneg, small, tmp_path):
    hardneg("train", *small, *SWAP, "hydra.run.dir=whole")
    return tmp_path / "whole"


def test_a_run_that_is_stopped_or_has_workers_swaps_what_it_would_have(hardneg, small, whole, tmp_path):
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 18, signal_name: SIGTERM}"
    hardneg("train", *small, *SWAP, stop, "hydra.run.dir=cut", code=143)
    hardneg("resume", "cut")
    hardneg("train", *small, *SWAP, "num_workers=1", "hydra.run.dir=workers")
    for other in ("cut", "workers"):
        assert same(end_state(whole), end_state(tmp_path / other)) is None
        for name, state in swapped(whole).items():
            there = swapped(tmp_path / other)[name]
            assert len(state["rows"]) > 0 and all(torch.equal(state[key], there[key]) for key in state)
    shares = {name: dict(column(whole, f"negatives/{name}/swapped")) for name in ("mined", "bm25")}
    assert set(shares["mined"]) <= set(range(4, 45, 4)) and set(shares["bm25"]) <= set(range(3, 45, 3))
    assert all(0 < max(share.values()) <= 1 for share in shares.values())
    easy = dict(column(whole, "negatives/bm25/easy"))
    assert all(easy[step] >= share for step, share in shares["bm25"].items())
