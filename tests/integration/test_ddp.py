"""The command line on two ranks."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.mark.slow
def test_two_ranks_train_the_same_model_as_one_with_twice_the_batch(hardneg, hardneg_process, small, tmp_path):
    common = [
        *small,
        "negatives=[in_batch,bm25]",
        "trainer.max_epochs=1",
        "logger=[csv,wandb]",
        "trainer.precision=32-true",
    ]
    hardneg("train", *common, "batch_size=32", "hydra.run.dir=one")
    two = ["batch_size=16", "trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    hardneg_process("train", *common, *two, "hydra.run.dir=two")
    one, two = (torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True) for run in ("one", "two"))
    assert one["global_step"] == two["global_step"] == 11
    for key, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][key], value, rtol=1e-3, atol=1e-4)
    one, two = (json.loads((tmp_path / run / "summary.json").read_text())["test"] for run in ("one", "two"))
    assert two["before"] == pytest.approx(one["before"]) and two["after"] == pytest.approx(one["after"], abs=0.02)
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2
