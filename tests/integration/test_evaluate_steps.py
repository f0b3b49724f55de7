"""Evaluation by optimiser steps: when, what is chosen by it, and what an interruption does to it."""

from __future__ import annotations

import json
import re

import pytest
import torch
from every import some
from mined_runs import MINED
from run_folders import but_for_times, column, end_state, last, rows, same

QUICK = ["logger=csv", "evaluate.bm25=null", "trainer.max_epochs=1"]
STOPPER = "_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/ndcg@10, mode: max"


def history(folder):
    """The dev metric that best.ckpt is chosen by, by step."""
    points = json.loads((folder / "summary.json").read_text())["dev"]["history"]
    return {point["step"]: point["val/ndcg@10"] for point in points}


def best_step(folder):
    return torch.load(folder / "checkpoints/best.ckpt", weights_only=True)["global_step"]


def test_one_epoch_has_its_points_and_the_best_of_them_is_kept(hardneg, small, tmp_path):
    said = hardneg("train", *small, *QUICK, "evaluate.every_n_steps=2", "optimizer.lr=3.0", "hydra.run.dir=run").stderr
    run = tmp_path / "run"
    points = history(run)
    assert list(points) == [0, 2, 4, 6, 8, 10, 11], "the multiples, and the end"
    assert dict(column(run, "val/ndcg@10")) == pytest.approx(points, abs=1e-6)
    trained = {step: value for step, value in points.items() if step}
    assert best_step(run) == max(trained, key=trained.get) != 11
    assert re.search(r"^epoch 1/1  step 4  val/ndcg@10 \d", said, re.MULTILINE)
    assert {row["epoch"] for row in rows(run) if "val/ndcg@10" in row and row["step"]} == {1}


def test_steps_are_the_optimisers_and_take_the_place_of_epochs(hardneg, small, tmp_path):
    steps = ["evaluate.every_n_steps=4", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=2"]
    hardneg("train", *small, *QUICK, *steps, "hydra.run.dir=run")
    assert list(history(tmp_path / "run")) == [0, 4, 8, 12], "not 6, where the first epoch ends"
    said = hardneg(
        "train", *small, *QUICK, *steps[:2], "trainer.max_epochs=-1", "trainer.max_steps=9", "hydra.run.dir=cut"
    )
    assert re.search(r"^epoch 2  step 9/9  loss \d", said.stderr, re.MULTILINE), "epochs have no limit"
    assert list(history(tmp_path / "cut")) == [0, 4, 8, 9]


def test_evaluating_within_an_epoch_changes_no_weight(hardneg, small, tmp_path):
    hardneg("train", *small, *QUICK, "hydra.run.dir=epochs")
    hardneg("train", *small, *QUICK, "evaluate.every_n_steps=1", "hydra.run.dir=steps")
    one, two = (end_state(tmp_path / name) for name in ("epochs", "steps"))
    assert same(one, two) is None
    assert history(tmp_path / "steps")[11] == history(tmp_path / "epochs")[11]


@pytest.mark.parametrize("signal", some(["SIGTERM", "SIGKILL"]))
def test_an_interrupted_run_has_the_same_points_and_the_same_best(hardneg, hardneg_process, small, tmp_path, signal):
    arguments = [*small, *MINED, *QUICK[1:], "evaluate.every_n_steps=3", "remine.every_n_steps=4", "optimizer.lr=3.0"]
    arguments += [f"+callbacks.early={{{STOPPER}, patience: 9}}", "checkpoint.every_n_steps=3", "alarms.p=0.9"]
    hardneg("train", *arguments, "hydra.run.dir=whole", f"cache={tmp_path}/whole-cache")
    stop = f"+callbacks.stop={{_target_: interrupts.Interrupt, step: 7, signal_name: {signal}}}"
    cut = [*arguments, stop, "hydra.run.dir=cut", f"cache={tmp_path}/cut-cache"]
    hardneg_process("train", *cut, code=-9 if signal == "SIGKILL" else 143)
    hardneg("resume", "cut")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert same(end_state(whole), end_state(cut)) is None
    assert history(whole) == history(cut) and best_step(whole) == best_step(cut)
    assert list(history(whole)) == [3, 6, 9, 11]
    assert [step for step, _ in column(whole, "mining/mined/round")] == [0, 4, 8]
    judged = [step for step, _ in column(whole, "mining/change/ndcg@10")]
    assert judged == [6, 9, 11], "what became of dev since the lists are new, at each evaluation"

    def written(run):
        return [{k: v for k, v in row.items() if "documents_per_second" not in k} for row in but_for_times(run)]

    assert written(whole) == written(cut)


def test_what_the_last_state_knows_of_the_best_is_what_is_there(hardneg, small, tmp_path):
    """Killed right after an epoch's end, a run must not take a later, lower value for the best."""
    hardneg("train", *small, *QUICK, "trainer.max_epochs=2", "hydra.run.dir=run")
    state = last(tmp_path / "run")
    known = next(value for name, value in state["callbacks"].items() if "val/ndcg@10" in name)
    trained = [value for step, value in history(tmp_path / "run").items() if step]
    assert float(known["best_model_score"]) == pytest.approx(max(trained), abs=1e-6)


def test_early_stopping_counts_evaluations_not_epochs(hardneg, small, tmp_path):
    never = f"+callbacks.early={{{STOPPER}, patience: 2, min_delta: 2.0}}"  # the first is the best that can be
    epochs = ["trainer.max_epochs=12", "evaluate.every_n_epochs=2", "evaluate.before=false"]
    hardneg("train", *small, *QUICK, *epochs, never, "hydra.run.dir=epochs")
    assert list(history(tmp_path / "epochs")) == [22, 44, 66]
    steps = ["evaluate.every_n_steps=2", "trainer.accumulate_grad_batches=1", "trainer.log_every_n_steps=50"]
    said = hardneg("train", *small, *QUICK, *steps, never, "hydra.run.dir=steps").stderr
    assert list(history(tmp_path / "steps")) == [0, 2, 4, 6]
    told = re.findall(r"^epoch 1/1  step 6  (loss|val)", said, re.MULTILINE)
    assert told == ["val", "loss"], "the dev metrics of the stop's step once, and the epoch's loss"
    assert json.loads((tmp_path / "steps/summary.json").read_text())["steps"] == 6
    (of_the_stop,) = (row for row in rows(tmp_path / "steps") if "train/loss" in row)
    assert (of_the_stop["step"], of_the_stop["epoch"]) == (6, 1), "Lightning writes it, though off the grid"


def test_a_run_that_was_stopped_early_does_not_train_on_when_it_is_resumed(hardneg, small, tmp_path):
    never = f"+callbacks.early={{{STOPPER}, patience: 1, min_delta: 2.0}}"
    hardneg("train", *small, *QUICK, "evaluate.every_n_steps=2", never, "hydra.run.dir=run")
    before = history(tmp_path / "run")
    (tmp_path / "run/summary.json").unlink()  # as if it had been killed in its final test
    hardneg("resume", "run")
    assert history(tmp_path / "run") == before and list(before) == [0, 2, 4]


@pytest.mark.slow
def test_several_ranks_evaluate_at_the_same_steps(hardneg_process, small, tmp_path):
    never = f"+callbacks.early={{{STOPPER}, patience: 2, min_delta: 2.0}}"
    two = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu", "batch_size=16"]
    two += ["trainer.accumulate_grad_batches=2", "evaluate.every_n_steps=1", "evaluate.before=false"]
    hardneg_process("train", *small, *QUICK, *two, never, "hydra.run.dir=two")
    assert list(history(tmp_path / "two")) == [1, 2, 3]


SUBSET = ["evaluate.documents=subset", "evaluate.subset.bm25=5", "evaluate.subset.model=5", "evaluate.subset.size=700"]


def test_dev_over_a_subset_is_the_same_after_a_resume_and_the_test_is_over_all(hardneg, small, tmp_path):
    arguments = [*small, *SUBSET, "logger=csv", "trainer.max_epochs=1", "evaluate.every_n_steps=4"]
    said = hardneg("train", *arguments, "hydra.run.dir=whole").stderr
    assert "dev is ranked over 700 of 2000 documents (subset " in said and "tests are over all" in said
    assert re.search(r"step 4  val/ndcg@10 .*\(of 700 documents\)", said)
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 6, signal_name: SIGTERM}"
    hardneg("train", *arguments, stop, "hydra.run.dir=cut", code=143)
    hardneg("resume", "cut")
    one, two = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("whole", "cut"))
    assert one["dev"] == two["dev"] and one["test"] == two["test"]
    assert one["dev"]["documents"]["documents"] == 700 and one["dev"]["documents"]["of"] == 2000
    first, last = one["dev"]["agreement"]
    assert (first["step"], last["step"]) == (4, best_step(tmp_path / "whole"))
    assert last["subset"] == one["dev"]["best"] >= last["all"] == one["dev"]["all"]["ndcg@10"]
    assert 0.5 < last["kendall"] <= last["pearson"] <= 1
    best = "ckpt_path=whole/checkpoints/best.ckpt"
    for split, of in (("dev", one["dev"]["all"]), ("test", one["test"]["after"])):
        hardneg("evaluate", "data=toy", best, f"split={split}", "evaluate.bm25=null", f"hydra.run.dir={split}")
        measured = json.loads((tmp_path / split / "summary.json").read_text())["test"]["checkpoint"]
        assert of == pytest.approx({name: measured[name] for name in of}, abs=1e-9)


def test_a_subset_is_not_compared_with_all_documents_where_that_is_not_wanted(hardneg, small, tmp_path):
    words = [*small, *SUBSET, "evaluate.compare_with_all=false", "trainer.max_steps=2"]
    said = hardneg("train", *words, "hydra.run.dir=run").stderr
    dev = json.loads((tmp_path / "run" / "summary.json").read_text())["dev"]
    assert dev["documents"]["documents"] == 700 and dev.keys().isdisjoint({"all", "agreement"})
    assert "on all documents" not in said


def test_a_run_whose_best_weights_are_gone_says_what_it_tests(hardneg, small, tmp_path):
    drop = "+callbacks.drop={_target_: interrupts.DropBest}"
    said = hardneg("train", *small, *QUICK, drop, "hydra.run.dir=run").stderr
    assert "best.ckpt does not exist: the weights of the last step are tested" in said
