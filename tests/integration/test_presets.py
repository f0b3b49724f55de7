"""Presets of callbacks, loggers, debugging and folders, as one run of a user sees them."""

from __future__ import annotations

import json

from run_folders import column, rows

QUICK = ["trainer.max_epochs=4", "evaluate.before=false", "evaluate.bm25=null"]


def test_callbacks_compose_end_a_run_and_are_seen_and_the_summary_says_what_made_it(hardneg, small, tmp_path):
    chosen = "callbacks=[early_stopping,lr_monitor,model_summary,device_stats]"
    stop = ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1.0"]
    shown = hardneg("train", *small, *QUICK, chosen, *stop, "logger=csv", f"paths.output_dir={tmp_path}/data")
    (run,) = (tmp_path / "data" / "outputs").iterdir()
    assert "StaticTower" in shown.stdout and "did not improve in the last 1 records" in shown.stdout + shown.stderr
    assert rows(run)[-1]["step"] == 22  # the second of four epochs
    (step,) = [row for row in rows(run) if row["step"] == 5]
    assert step["lr-AdamW"] == step["train/lr"] > 0 and "device/cpu_vm_percent" in step
    assert step["train/queries_per_second"] > 0 and "positives/similarity" in step
    summary = json.loads((run / "summary.json").read_text())
    assert summary["throughput"]["queries_per_second"] > 0 and summary["command"].startswith("hardneg train")
    assert {"python", "torch", "lightning"} <= summary["packages"].keys() and "commit" in summary


def test_a_debug_run_learns_one_batch_and_is_no_run_to_compare(hardneg, small, tmp_path):
    told = hardneg("train", *small, "debug=overfit", "trainer.max_epochs=40", "paths.output_dir=here")
    assert "debug=overfit: 40 steps done" in told.stdout + told.stderr
    (run,) = (tmp_path / "here" / "debug").iterdir()
    losses = [loss for _, loss in column(run, "train/loss")]
    assert losses[-1] < 0.2 * losses[0]
    assert not (run / "summary.json").exists() and not (tmp_path / "wandb").exists()
    assert json.loads((run / "status.json").read_text())["state"] == "trial"
    refused = hardneg("compare", "here", code=2).stderr
    assert "holds a complete run" in refused and "resume" not in refused


def test_a_profile_is_shown_and_kept(hardneg, small, tmp_path):
    told = hardneg("train", *small, "debug=profiler", "trainer.limit_train_batches=2", "split.dev=null")
    (kept,) = tmp_path.glob("debug/*/fit-profile.txt")
    said = told.stdout + told.stderr
    assert "run_training_batch" in said and str(kept) in said and "run_training_batch" in kept.read_text()
