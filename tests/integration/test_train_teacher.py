"""hardneg train-teacher, and a dual encoder that learns from what it leaves."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from run_folders import last

COMMON = ["data=toy", "data.queries=160", "data.docs=400", "batch_size=8", "negatives=[bm25,random]", "logger=csv"]
COMMON += ["negatives.bm25.k=2", "negatives.random.k=1", "encoder.max_length=48", "evaluate.depth=10"]
COMMON += ["optimizer.lr=1e-3", "trainer.max_epochs=2", "trainer.precision=32-true", "checkpoint.every_n_steps=3"]


def test_a_teacher_is_trained_killed_resumed_and_used(hardneg, hardneg_process, bert, tmp_path):
    arguments = [*COMMON, f"encoder.model={bert}"]
    said = hardneg("train-teacher", *arguments, "hydra.run.dir=whole").stderr
    asked = len((tmp_path / "whole" / "test.run").read_text().splitlines())  # ten documents of each query
    assert re.search(rf"to rerank: \d+ of dev at each evaluation, {asked} of test at the end; evaluate.depth=10 ", said)
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 7, signal_name: SIGKILL}"
    hardneg_process("train-teacher", *arguments, stop, "hydra.run.dir=cut", code=-9)
    hardneg("resume", "cut")
    whole, cut = last(tmp_path / "whole")["state_dict"], last(tmp_path / "cut")["state_dict"]
    assert whole.keys() == cut.keys() and all(torch.equal(whole[key], cut[key]) for key in whole)

    summary = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert set(summary["test"]) == {"BM25", "after"}
    assert summary["test"]["BM25"]["recall@10"] == pytest.approx(summary["test"]["after"]["recall@10"]), (
        "ten documents in another order are the same ten"
    )
    student = ["data=toy", "data.queries=160", "data.docs=400", "encoder=static", "encoder.dim=16", "logger=csv"]
    student += ["negatives=[in_batch,bm25]", "loss=[infonce,kl,margin_mse]", "filter=[known_positives,teacher_score]"]
    student += ["teacher=cross_encoder", f"teacher.model={tmp_path}/whole/teacher", "teacher.max_length=48"]
    student += [
        "filter.teacher_score.margin=-100.0",
        "trainer.max_epochs=1",
        "batch_size=16",
        "trainer.log_every_n_steps=1",
    ]
    hardneg("train", *student, "hydra.run.dir=student")
    metrics = (tmp_path / "student" / "metrics.csv").read_text().splitlines()[0]
    assert "train/loss/kl" in metrics and "train/loss/margin_mse" in metrics


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["negatives=[in_batch,bm25,random]"], "a cross-encoder has none"),
        (["negatives=[bm25,random,mined]"], "negatives.mined.miner.ckpt_path"),
        (["evaluate.bm25=null"], "it cannot be null"),
        (["encoder.max_length=2"], "at least 8 tokens"),
        (["encoder.model=nowhere"], "encoder.model=nowhere: 'nowhere' is not in the cache"),
    ],
)
def test_mistakes_are_told(hardneg, overrides, says):
    assert says in hardneg("train-teacher", *COMMON, *overrides, code=2).stderr


@pytest.mark.slow
def test_two_ranks_train_the_same_teacher_as_one_with_twice_the_batch(hardneg, hardneg_process, bert, tmp_path):
    still = tmp_path / "still"  # no dropout: its masks differ between ranks
    shutil.copytree(bert, still)
    config = json.loads((still / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (still / "config.json").write_text(json.dumps(config))
    # Plain descent: Adam would enlarge the rounding of tiny gradients, by how much depends on the processor.
    descent = ["optimizer._target_=torch.optim.SGD", "optimizer.lr=0.1"]
    arguments = [*COMMON, *descent, f"encoder.model={still}", "trainer.max_epochs=1"]
    hardneg("train-teacher", *arguments, "hydra.run.dir=one")
    two = ["batch_size=4", "trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    hardneg_process("train-teacher", *arguments, *two, "hydra.run.dir=two")
    one, two = last(tmp_path / "one")["state_dict"], last(tmp_path / "two")["state_dict"]
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4)
