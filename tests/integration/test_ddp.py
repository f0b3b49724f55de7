"""The command line on two ranks."""

from __future__ import annotations

import json

import pytest
import torch
from run_folders import last


@pytest.mark.slow
@pytest.mark.parametrize(
    "negatives",
    [["negatives=[in_batch,bm25]"], ["negatives=[queue,bm25]", "negatives.queue.size=320", "encoder.momentum=0.9"]],
    ids=["in_batch", "momentum"],
)
def test_two_ranks_train_the_same_model_as_one_with_twice_the_batch(
    hardneg, hardneg_process, small, tmp_path, negatives
):
    common = [
        *small,
        *negatives,
        "trainer.max_epochs=1",
        "logger=[csv,wandb]",
        "trainer.precision=32-true",
    ]
    hardneg("train", *common, "batch_size=32", "hydra.run.dir=one")
    two = ["batch_size=16", "trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    hardneg_process("train", *common, *two, "hydra.run.dir=two")
    one, two = (last(tmp_path / run) for run in ("one", "two"))
    assert one["global_step"] == two["global_step"] == 11
    for key, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][key], value, rtol=1e-3, atol=1e-4)
    one, two = (json.loads((tmp_path / run / "summary.json").read_text())["test"] for run in ("one", "two"))
    assert two["before"] == pytest.approx(one["before"]) and two["after"] == pytest.approx(one["after"], abs=0.02)
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2


@pytest.mark.slow
def test_two_ranks_that_are_interrupted_go_on_to_the_same_weights(hardneg_process, small, tmp_path):
    """Lightning's own handling hangs here: a signal reaches the ranks at different places."""
    two = [*small, "batch_size=16", "trainer.max_epochs=2", "logger=csv", "checkpoint.every_n_steps=4"]
    two += ["trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu", "evaluate.before=false"]
    hardneg_process("train", *two, "hydra.run.dir=whole")
    whole = last(tmp_path / "whole")
    for name, rank, code in (("SIGTERM", 1, 143), ("SIGINT", 0, 130), ("SIGKILL", 1, 2)):
        stop = f"+callbacks.stop={{_target_: interrupts.Interrupt, step: 7, signal_name: {name}, rank: {rank}}}"
        said = hardneg_process("train", *two, stop, f"hydra.run.dir={name}", code=code).stderr
        assert json.loads((tmp_path / name / "status.json").read_text())["state"] == "interrupted"
        assert name != "SIGKILL" or ("another rank of this run has ended" in said and "Traceback" not in said)
        hardneg_process("resume", name)
        cut = last(tmp_path / name)
        assert cut["global_step"] == whole["global_step"] == 22
        for key, value in whole["state_dict"].items():
            assert torch.equal(cut["state_dict"][key], value), key
