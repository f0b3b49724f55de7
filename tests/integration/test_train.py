"""What one run leaves behind, and what a sweep does."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import pytrec_eval
import torch
from run_folders import rows

from hardneg.data.toy import Toy
from hardneg.runlog import wandb_read


@pytest.mark.draws
def test_a_run_folder_is_complete_and_agrees_with_itself(hardneg, small, tmp_path):
    shown = hardneg("train", *small, "strategy=bm25_random", "trainer.max_epochs=2", "logger=csv", "hydra.run.dir=run")
    run = tmp_path / "run"
    assert {p.name for p in run.iterdir()} >= {".hydra", "metrics.csv", "test.run", "per_query.parquet", "figure.png"}
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["datamodule_hyper_parameters"] == {"batch_size": 32, "ranks": 1}
    for word in ("BM25", "before", "after", "ndcg@10"):
        assert word in shown.stdout
    without = shown.stderr.split("(this seed), train the same run without them:\n  ")[1].splitlines()[0]
    assert without.startswith("hardneg train data=toy encoder.dim=32") and "'negatives=[in_batch]'" in without
    assert "strategy" not in without and without.endswith(f"hydra.run.dir={run}_without")

    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["negatives"]) == {"bm25", "random"} and 0 <= summary["negatives"]["bm25"]["loss_share"] <= 1
    table = pq.read_table(run / "per_query.parquet").to_pandas()
    mean = table[table.system == "after"]["ndcg@10"].mean()
    assert summary["test"]["after"]["ndcg@10"] == pytest.approx(mean)

    data = Toy().load()
    qrels = data.qrels["test"]
    labels = {}
    for q, d in zip(qrels.queries, qrels.docs, strict=True):
        labels.setdefault(data.queries.ids[int(q)].as_py(), {})[data.corpus.ids[int(d)].as_py()] = 1
    with (run / "test.run").open() as file:
        ranking = pytrec_eval.parse_run(file)
    scored = pytrec_eval.RelevanceEvaluator(labels, {"ndcg_cut.10"}).evaluate(ranking)
    assert mean == pytest.approx(sum(s["ndcg_cut_10"] for s in scored.values()) / len(scored), abs=1e-9)

    logged = {key for row in rows(run) for key in row}
    for source in ("in_batch", "bm25", "random"):
        for metric in ("count", "filtered", "kept", "margin", "loss"):
            assert f"negatives/{source}/{metric}" in logged


def test_a_recommender_cut_to_two_widths_is_tested_at_each_and_evaluate_agrees(hardneg, tmp_path):
    arguments = ["data=interactions", "data.users=300", "evaluate.leave_out=train", "evaluate.bm25=null"]
    hardneg(
        "train", *arguments, "encoder=features", "encoder.matryoshka={8: 0.5, 16: 1}", "negatives.in_batch.logq=true",
        "trainer.max_epochs=8", "evaluate.every_n_epochs=8", "logger=csv", "hydra.run.dir=run",
    )  # fmt: skip
    test = json.loads((tmp_path / "run/summary.json").read_text())["test"]
    assert list(test) == ["before", "after@8", "after@16", "after"]
    assert min(test[name]["recall@100"] for name in test if name != "before") > 2 * test["before"]["recall@100"]
    hardneg("evaluate", *arguments, "ckpt_path=run/checkpoints/best.ckpt", "hydra.run.dir=again")
    again = json.loads((tmp_path / "again/summary.json").read_text())["test"]
    assert again == {name.replace("after", "checkpoint"): test[name] for name in test if name != "before"}


def test_training_learns_more_than_bm25_knows(hardneg, tmp_path):
    arguments = ["data=toy", "optimizer.lr=0.01", "trainer.max_epochs=15", "evaluate.every_n_epochs=5", "logger=csv"]
    hardneg("train", *arguments, "hydra.run.dir=run")
    test = json.loads((tmp_path / "run/summary.json").read_text())["test"]
    assert test["after"]["ndcg@10"] > test["BM25"]["ndcg@10"] > test["before"]["ndcg@10"]


def test_evaluate_repeats_the_test_of_the_run(hardneg, small, tmp_path):
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
    hardneg("evaluate", "data=toy", "ckpt_path=run/checkpoints/best.ckpt", "hydra.run.dir=again")
    one, two = (json.loads((tmp_path / f / "summary.json").read_text())["test"] for f in ("run", "again"))
    assert two["checkpoint"] == one["after"] and two["BM25"] == one["BM25"]


def test_a_sweep_makes_one_wandb_run_a_job_in_one_group_even_after_a_failing_job(hardneg, small, tmp_path, monkeypatch):
    # triplet with seed 1 fails in mid-training; every other job must still have a run of its own.
    from hardneg.losses.triplet import Triplet

    calls = []

    def broken_once(self, c):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("broken on purpose")
        return forward(self, c)

    forward = Triplet.forward
    monkeypatch.setattr(Triplet, "forward", broken_once)
    sweep = ["-m", "strategy=in_batch,random", "loss=triplet,infonce", "seed=1", "hydra.sweep.dir=sweep"]
    hardneg("train", *small, "trainer.max_epochs=1", *sweep, code=1)
    runs = wandb_read.runs(tmp_path)
    assert len(runs) == 4 and {run["group"] for run in runs} == {"sweep"}
    assert {run["name"] for run in runs} == {
        "toy-in_batch-triplet-s1", "toy-in_batch-infonce-s1",
        "toy-in_batch+random-triplet-s1", "toy-in_batch+random-infonce-s1",
    }  # fmt: skip
    failed = [run for run in runs if run["exit_code"] != 0]
    assert [run["name"] for run in failed] == ["toy-in_batch-triplet-s1"]
    done = next(run for run in runs if run["name"] == "toy-in_batch+random-infonce-s1")
    assert done["config"]["negatives_id"] == "in_batch+random" and done["config"]["loss_id"] == "infonce"
    assert "val/ndcg@10" in done["summary"] and "test/ndcg@10" in done["summary"]
    assert "in_batch+random-infonce" in hardneg("compare", "sweep", "--baseline", "in_batch-infonce").stdout


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (["loss.infonce.temperature=0.05,-1.0"], "temperature must be positive"),
        (["optimizer._target_=torch.optim.AdamW,os.system"], "not allowed"),
        (["negatives.bm25.k=1,2"], "bm25"),
        (["data.queries=600,x"], "data"),
    ],
)
def test_one_bad_job_stops_a_sweep_before_its_first(hardneg, small, tmp_path, bad, said):
    done = hardneg("train", *small, "-m", *bad, "hydra.sweep.dir=sweep", code=2)
    assert said in done.stderr + done.stdout
    assert not list(tmp_path.glob("sweep/*/checkpoints"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data=beir", "data.path=nowhere"], "nowhere"),
        (["encoder=transformer"], "encoder.model"),
        (["encoder=transformer", "encoder.model=nowhere/model"], "nowhere/model"),
        (["split.dev=devel"], "devel"),
        (["batch_size=1000"], "batch_size=1000"),
        (["negatives=given", "data=table", "data.path=pairs.csv"], "but 'pairs' has none"),
    ],
)
def test_bad_input_ends_with_one_clear_line(hardneg, arguments, said, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pairs = "".join(f"what is item {n},item {n} is a thing\n" for n in range(100))
    (tmp_path / "pairs.csv").write_text(f"query,document\n{pairs}")
    done = hardneg("train", "data=toy", "logger=csv", *arguments, code=2)
    assert said in done.stderr and "Traceback" not in done.stderr


def test_help_shows_groups_options_and_examples(hardneg):
    for command in ("train", "evaluate"):
        shown = hardneg(command, "--help").stdout
        options = " ".join(shown.split())  # wherever lines are broken
        assert "beir, collection, hub, interactions, ir_datasets, jsonl, mix, nanobeir, pydocs, table, toy" in options
        assert shown.count(f"hardneg {command} ") >= 3
    assert "compare" in hardneg("--help").stdout and "--baseline" in hardneg("compare", "--help").stdout


def test_fast_dev_run_and_accumulation_and_splits_left_out(hardneg, small, tmp_path):
    hardneg("train", *small, "trainer.fast_dev_run=true", "logger=csv", "hydra.run.dir=fast")
    hardneg(
        "train", *small, "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1", "logger=csv", "split.dev=null",
        "evaluate.before=false", "evaluate.bm25=null", "encoder.separate=true", "hydra.run.dir=bare",
    )  # fmt: skip
    summary = json.loads((tmp_path / "bare/summary.json").read_text())
    assert list(summary["test"]) == ["after"] and summary["dev"]["best"] is None and summary["steps"] == 6


@pytest.mark.parametrize(
    ("end", "steps"),
    [(["trainer.max_epochs=3"], [0, 22, 33]), (["trainer.max_epochs=-1", "trainer.max_steps=30"], [0, 22, 30])],
)
def test_only_evaluated_epochs_count_and_the_last_is_always_evaluated(hardneg, small, tmp_path, end, steps):
    common = [*small, *end, "evaluate.every_n_epochs=2", "logger=csv", "hydra.run.dir=run"]
    shown = hardneg("train", *common)
    history = json.loads((tmp_path / "run/summary.json").read_text())["dev"]["history"]
    assert [point["step"] for point in history] == steps
    lines = [line for line in shown.stderr.splitlines() if line.startswith("epoch ")]
    assert ["val/ndcg@10" in line for line in lines] == [False, True, True]


def test_a_run_folder_is_not_used_twice(hardneg, small):
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
    again = hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "seed=5", "hydra.run.dir=run", code=2)
    assert "holds a training run already" in again.stderr


def test_the_run_folder_may_be_named_in_a_config(hardneg, small, tmp_path):
    target = "_target_: lightning.pytorch.callbacks.ModelCheckpoint"
    callback = f"+callbacks.mine={{{target}, dirpath: '${{hydra:runtime.output_dir}}/more'}}"
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run", callback)
    assert list((tmp_path / "run" / "more").iterdir())


def test_the_default_run_learns_with_each_encoders_own_rate(hardneg, tmp_path):
    hardneg("train", "data=toy", "batch_size=32", "trainer.max_epochs=4", "logger=csv", "hydra.run.dir=run")
    test = json.loads((tmp_path / "run/summary.json").read_text())["test"]
    assert test["after"]["ndcg@10"] > test["before"]["ndcg@10"] + 0.05


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("btch_size=3", "no key btch_size; did you mean batch_size?"),
        ("encoder.dimm=3", "did you mean encoder.dim?"),
        ("encoder=minilmm", "Available options in 'encoder': features llm minilm momentum static transformer"),
        ("data.path=a=b", "quote values that contain"),
        ("optimizer.lr=abc", "optimizer with lr=abc"),
        ("trainer.max_epochs=abc", "trainer.max_epochs='abc' must be a whole number"),
        ("trainer.gradient_clip_val=x", "`gradient_clip_val` should be an int or a float"),
    ],
)
def test_a_wrong_word_is_answered_in_plain_words(hardneg, argument, says):
    stderr = hardneg("train", "data=toy", argument, code=2).stderr
    assert says in stderr and "Traceback" not in stderr and "append" not in stderr
