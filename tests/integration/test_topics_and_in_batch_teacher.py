"""TAS-B's two parts in one run: batches of one topic, and in-batch pairs that a second teacher has scored."""

from __future__ import annotations

import json
import shutil

import numpy as np
import torch
from run_folders import column, last

from hardneg.mining import topics


def test_a_run_draws_by_topic_and_learns_from_two_teachers(hardneg, small, tmp_path):
    shown = hardneg(
        "train", *small, "negatives=[in_batch,bm25]", "loss=[margin_mse]", "+loss@loss.margin_mse_in_batch=margin_mse",
        "loss.margin_mse.sources=[bm25]", "loss.margin_mse_in_batch.sources=[in_batch]", "batches=topics",
        "loss.margin_mse_in_batch.weight=0.75", "+encoder@batches.encoder=static", "batches.clusters=4",
        "teacher=bi_encoder", "+encoder@teacher.encoder=static", "+teacher@negatives.in_batch.teacher=bi_encoder",
        "+encoder@negatives.in_batch.teacher.encoder=static", "negatives.in_batch.teacher.scale=1.0",
        "trainer.max_epochs=1", "trainer.log_every_n_steps=1", "logger=csv", "hydra.run.dir=run",
        f"cache={tmp_path}/cache",
    )  # fmt: skip
    assert "360 training queries in 4 clusters" in shown.stdout + shown.stderr
    assert "of the batches are of one topic" in shown.stdout + shown.stderr
    assert json.loads((tmp_path / "run/summary.json").read_text())["test"]["after"]
    for name in ("margin_mse", "margin_mse_in_batch"):
        values = [value for _, value in column(tmp_path / "run", f"train/loss/{name}")]
        assert values and min(values) > 0, name
    (topics,) = (tmp_path / "cache/topics").glob("*/topics.npy")
    assert set(np.load(topics)) <= {0, 1, 2, 3}


def test_a_run_that_goes_on_keeps_its_topics_also_without_the_cache(hardneg, small, tmp_path, monkeypatch):
    words = [
        *small, "batches=topics", "+encoder@batches.encoder=static", "batches.clusters=4", "trainer.max_epochs=2",
        "checkpoint.every_n_steps=4", "logger=csv", "split.test=null", f"cache={tmp_path}/cache",
    ]  # fmt: skip
    hardneg("train", *words, "hydra.run.dir=whole")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 7, signal_name: SIGINT}"
    hardneg("train", *words, stop, "hydra.run.dir=cut", code=130)
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(topics, "clustered", None)
    hardneg("resume", "cut")
    whole, cut = last(tmp_path / "whole")["state_dict"], last(tmp_path / "cut")["state_dict"]
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def test_grad_cache_takes_the_gradient_of_an_in_batch_teacher_too(hardneg, small, tmp_path):
    words = [
        *small, "loss=[margin_mse]", "+teacher@negatives.in_batch.teacher=bi_encoder", "trainer.max_steps=3",
        "+encoder@negatives.in_batch.teacher.encoder=static", "logger=csv", "split.test=null", "split.dev=null",
    ]  # fmt: skip
    hardneg("train", *words, "hydra.run.dir=whole")
    hardneg("train", *words, "encoder.grad_cache=true", "encoder.tokens=400", "hydra.run.dir=parts")
    whole, parts = last(tmp_path / "whole")["state_dict"], last(tmp_path / "parts")["state_dict"]
    assert all(torch.allclose(value, parts[name], atol=1e-5) for name, value in whole.items())
