"""Training the query side alone: documents stay as an index holds them, also over an interruption."""

from __future__ import annotations

import pytest
import torch
from interrupts import CODES
from run_folders import end_state, same

from hardneg.encoders import checkpoint
from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.towers import DOCUMENT, QUERY


@pytest.fixture
def base(hardneg, small, tmp_path):
    """The encoder that the index was made with."""
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "evaluate.before=false", "hydra.run.dir=base")
    return tmp_path / "base" / "checkpoints" / "last.ckpt"


def test_an_interrupted_run_on_queries_alone_ends_the_same_and_leaves_documents_alone(
    hardneg, hardneg_process, small, base, tmp_path
):
    arguments = [*small, f"init_from={base}", "encoder.freeze=document", "negatives=[in_batch,mined,queue]"]
    arguments += ["negatives.mined.depth=20", "negatives.queue.size=50", "trainer.max_epochs=1", "logger=csv"]
    arguments += ["checkpoint.every_n_steps=4", "evaluate.before=false", "optimizer.weight_decay=0.1"]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 7, signal_name: SIGKILL}"
    hardneg_process("train", *arguments, stop, "hydra.run.dir=cut", code=CODES["SIGKILL"])
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None

    old, new = (checkpoint.load(path) for path in (base, tmp_path / "cut" / "checkpoints" / "last.ckpt"))
    assert weights_hash(new.towers.tower(DOCUMENT)) == weights_hash(old.towers.tower(DOCUMENT))
    assert weights_hash(new.towers.tower(QUERY)) != weights_hash(old.towers.tower(QUERY))
    moments = [value for state in end_state(tmp_path / "cut")["optimizer_states"] for value in state["state"].values()]
    assert len(moments) == 1, "the optimizer holds one table: that of the queries"
    assert torch.isfinite(moments[0]["exp_avg"]).all()
