"""Runs that mine after each epoch: their words, and the lists that their last checkpoints name."""

from __future__ import annotations

from run_folders import last

MINED = ["negatives=[in_batch,mined,random]", "negatives.mined.depth=20", "negatives.random.k=2", "logger=csv"]
MINED += ["trainer.max_epochs=3", "checkpoint.every_n_steps=4", "evaluate.before=false", "filter=[known_positives]"]


def stores(folder):
    """The stores that the run's last checkpoint names, by source."""
    return next(state["stores"] for name, state in last(folder)["callbacks"].items() if "Remine" in name)
