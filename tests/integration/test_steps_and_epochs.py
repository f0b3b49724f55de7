"""One number for a step and one for an epoch, wherever a run says them; the epoch's loss; trials and profiles."""

from __future__ import annotations

import json
import re

import pytest
from run_folders import column, last

QUICK = ["logger=csv", "evaluate.bm25=null", "trainer.max_epochs=2"]


def epoch_lines(stderr):
    """What the lines of the epochs say: epoch, step, loss."""
    found = re.findall(r"^epoch (\d+)/\d+  step (\d+)  loss ([\d.]+)", stderr, re.MULTILINE)
    return [(int(epoch), int(step), float(loss)) for epoch, step, loss in found]


def test_steps_epochs_rates_and_means_are_right(hardneg, small, tmp_path):
    shown = hardneg("train", *small, *QUICK, "hydra.run.dir=run")
    run = tmp_path / "run"
    losses, means = dict(column(run, "train/loss")), dict(column(run, "train/epoch_loss"))
    assert list(losses) == list(range(1, 23)), "a row of step n is of the n-th step"
    assert [step for step, _ in column(run, "val/ndcg@10")] == [0, 11, 22], "with the point before the first step"
    history = json.loads((run / "summary.json").read_text())["dev"]["history"]
    assert dict(column(run, "val/ndcg@10")) == pytest.approx({h["step"]: h["val/ndcg@10"] for h in history}, abs=1e-6)
    assert set(column(run, "epoch")) == {(step, 1 if step <= 11 else 2) for step in range(1, 23)}
    assert means == pytest.approx({11: sum(list(losses.values())[:11]) / 11, 22: sum(list(losses.values())[11:]) / 11})
    assert epoch_lines(shown.stderr) == [(1, 11, round(means[11], 4)), (2, 22, round(means[22], 4))]
    # 22 steps at 0.01: up over the first 2, then down to 0 in a line.
    linear = {n: 0.01 * min((n - 1) / 2, (22 - (n - 1)) / 20) for n in range(1, 23)}
    assert dict(column(run, "train/lr")) == pytest.approx(linear)
    assert all(norm > 0 for _, norm in column(run, "train/grad_norm"))


def test_a_stop_says_the_same_step_everywhere_and_the_epochs_mean_goes_on(hardneg, small, tmp_path):
    accumulate = ["trainer.accumulate_grad_batches=2", "hydra.run.dir=cut"]
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 4, signal_name: SIGTERM}"
    stopped = hardneg("train", *small, *QUICK, *accumulate, stop, code=143)
    said = int(re.search(r"stopped at step (\d+)", stopped.stderr)[1])
    cut = tmp_path / "cut"
    assert said == json.loads((cut / "status.json").read_text())["step"]
    assert said == last(cut)["global_step"]
    assert said == column(cut, "train/loss")[-1][0]
    resumed = hardneg("resume", "cut")
    hardneg("train", *small, *QUICK, *accumulate[:1], "hydra.run.dir=whole")
    assert column(cut, "train/epoch_loss") == column(tmp_path / "whole", "train/epoch_loss")
    assert column(cut, "train/loss") == column(tmp_path / "whole", "train/loss")
    assert [(epoch, step) for epoch, step, _ in epoch_lines(resumed.stderr)] == [(1, 6), (2, 12)]


def test_a_trial_leaves_no_results(hardneg, small, tmp_path):
    shown = hardneg("train", *small, "trainer.fast_dev_run=2", "logger=csv", "hydra.run.dir=trial")
    assert "trainer.fast_dev_run: 2 steps done, in" in shown.stderr and "a trial has no results" in shown.stderr
    left = {path.name for path in (tmp_path / "trial").iterdir()}
    assert left <= {".hydra", ".lock", "status.json", "train.log"}
    status = json.loads((tmp_path / "trial/status.json").read_text())
    assert not status.get("dev_at_best") and status["state"] == "trial"
    assert "1 job: 1 trial" in hardneg("jobs", "trial").stdout


def test_a_profile_is_in_the_runs_folder(hardneg, small, tmp_path):
    hardneg("train", *small, *QUICK, "trainer.max_steps=2", "+trainer.profiler=simple", "hydra.run.dir=run")
    assert "run_training_batch" in (tmp_path / "run/fit-profile.txt").read_text()


def test_a_run_that_its_time_ends_is_evaluated_at_its_end(hardneg, small, tmp_path):
    hardneg(
        "train", *small, "logger=csv", "evaluate.bm25=null", "trainer.max_epochs=100000", "evaluate.every_n_epochs=999",
        "+trainer.max_time={seconds: 1}", "hydra.run.dir=run",
    )  # fmt: skip
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert [point["step"] for point in summary["dev"]["history"]] == [0, summary["steps"]]
    assert (tmp_path / "run/checkpoints/best.ckpt").exists()
