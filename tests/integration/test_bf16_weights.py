"""A run whose encoder is held in bfloat16, from its first step to its export."""

from __future__ import annotations

import json

import pytest
import torch


def test_a_run_with_bfloat16_weights_mines_tests_goes_on_and_is_exported(hardneg, small, tmp_path):
    run = [*small, "trainer.precision=bf16-true", "negatives=[in_batch,mined]", "logger=csv", "trainer.max_epochs=2"]
    hardneg("train", *run, "hydra.run.dir=run")
    state = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert state["towers.towers.query.embedding.weight"].dtype == torch.bfloat16
    assert state["losses.infonce.log_temperature"].dtype == torch.float32
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["precision"] == "bf16-true"
    before, after = (summary["test"][when]["ndcg@10"] for when in ("before", "after"))
    assert after > 2 * before
    hardneg("evaluate", "data=toy", "ckpt_path=run/checkpoints/best.ckpt", "split=test", "hydra.run.dir=again")
    again = json.loads((tmp_path / "again/summary.json").read_text())
    assert again["test"]["checkpoint"]["ndcg@10"] == pytest.approx(after, abs=0.02)
    hardneg("export", "run/checkpoints/best.ckpt", "model")
