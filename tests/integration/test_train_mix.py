"""Several data sets in one run, by the command line."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from interrupts import CODES
from run_folders import end_state, last, rows, same

SMALL = ["encoder.dim=16", "batch_size=8", "optimizer.lr=0.01", "trainer.log_every_n_steps=1", "logger=csv"]
NEGATIVES = ["negatives=[in_batch,queue,mined,random]", "negatives.queue.size=40", "negatives.mined.depth=20"]
NEGATIVES += ["filter=[known_positives,same_set]", "evaluate.before=false"]


@pytest.fixture
def mixed(environment, tmp_path):
    """A generated world of 36 train queries, and 24 pairs in a file, half of them to test."""
    words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"]
    pairs = [f"{a} {b}" for a in words for b in words if a != b][:48]
    lines = [json.dumps({"query": f"where is {pair}", "positive": f"here lies {pair}"}) for pair in pairs]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    return [
        "data=mix",
        "+data@data.sets.world=toy", "data.sets.world.docs=120", "data.sets.world.queries=60",
        "data.sets.world.names=12", "data.sets.world.attributes=6",
        "+data@data.sets.places=jsonl", "data.sets.places.path=pairs.jsonl", "data.sets.places.test_share=0.4",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["places", "both"])
def test_another_test_set_has_a_name_that_no_set_in_the_mix_has(hardneg, mixed, name):
    """Its results would take the place of that set's, or its ranking that of the mix."""
    also = f"evaluate.also={{{name}: {{path: pairs.jsonl}}}}"
    words = [*mixed, *SMALL, "negatives=[in_batch]", "trainer.max_steps=1", "data.name=both", also]
    said = hardneg("train", *words, "hydra.run.dir=run", code=2).stderr
    assert f"evaluate.also.{name}: the run's own test set is called {name} too; choose another name" in said


def test_a_mix_trains_on_every_kind_of_negative_and_reports_set_by_set(hardneg, mixed, tmp_path):
    said = hardneg(
        "train", *mixed, *SMALL, *NEGATIVES, "+data.prompts.places={query: 'find: '}", "data.temper=0.5",
        "trainer.max_epochs=1", "hydra.run.dir=run",
    )  # fmt: skip
    assert "mean of the sets" in said.stdout and "sets: world 120 documents, places 48 documents" in said.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["data"] == "world+places" and summary["test_by_set"].keys() == {"world", "places"}
    for system, metrics in summary["test"].items():
        for metric, mean in metrics.items():
            of_sets = [rows[system][metric] for rows in summary["test_by_set"].values()]
            assert mean == pytest.approx(np.mean(of_sets))
    logged = rows(tmp_path / "run")
    latest = {key: value for row in logged for key, value in row.items()}
    assert latest["val/ndcg@10"] == pytest.approx((latest["val/world/ndcg@10"] + latest["val/places/ndcg@10"]) / 2)
    assert latest["test/places/mrr@10"] == summary["test_by_set"]["places"]["after"]["mrr@10"]
    assert max(row.get("negatives/queue/filtered", 0) for row in logged) > 0, "the queue holds the other set's"
    assert all(row["negatives/mined/count"] > 3 for row in logged if "negatives/mined/count" in row)
    per_query = pq.read_table(tmp_path / "run" / "per_query.parquet").to_pylist()
    assert (
        {row["query_id"].split("/")[0] for row in per_query} == {row["set"] for row in per_query} == {"world", "places"}
    )
    ranked = [line.split() for line in (tmp_path / "run" / "test.run").read_text().splitlines()]
    assert all(query.split("/")[0] == doc.split("/")[0] for query, _, doc, *_ in ranked)


def test_batches_of_several_sets_train_and_the_log_says_what_an_epoch_holds(hardneg, mixed, tmp_path):
    apart = ["negatives=[in_batch]", "filter=[known_positives,same_set]", "data.batches=blended"]
    said = hardneg("train", *mixed, *SMALL, *apart, "trainer.max_epochs=1", "hydra.run.dir=run")
    assert "queries an epoch, in 7 blended batches: world 36, places 26" in said.stderr
    filtered = [row["negatives/in_batch/filtered"] for row in rows(tmp_path / "run") if "train/loss" in row]
    assert len(filtered) == 7 and max(filtered) > 1, "the other set's documents"


def test_compare_gives_every_set_the_same_weight(hardneg, mixed, tmp_path):
    for strategy in ("in_batch", "random"):
        hardneg(
            "train", *mixed, *SMALL, f"strategy={strategy}", "trainer.max_epochs=1", f"hydra.run.dir=runs/{strategy}"
        )
    said = hardneg("compare", "runs", "--metric", "mrr@10").stdout
    for strategy in ("in_batch", "random"):
        summary = json.loads((tmp_path / "runs" / strategy / "summary.json").read_text())
        assert f"{summary['test']['after']['mrr@10']:.4f}" in said


def test_an_interrupted_mix_ends_as_if_it_had_not_been(hardneg, hardneg_process, mixed, tmp_path):
    arguments = [*mixed, *SMALL, *NEGATIVES, "data.temper=0.5", "trainer.max_epochs=2", "checkpoint.every_n_steps=2"]
    hardneg("train", *arguments, f"cache={tmp_path}/one", "hydra.run.dir=whole")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 9, signal_name: SIGKILL}"
    hardneg_process("train", *arguments, stop, f"cache={tmp_path}/two", "hydra.run.dir=cut", code=CODES["SIGKILL"])
    assert last(tmp_path / "cut")["global_step"] == 8
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None


def test_a_mix_of_one_set_gives_the_numbers_of_the_set(hardneg, tmp_path):
    common = [*SMALL, *NEGATIVES, "trainer.max_epochs=1"]
    hardneg("train", *common, "data=toy", "hydra.run.dir=alone")
    hardneg("train", *common, "data=mix", "+data@data.sets.world=toy", "data.temper=0.3", "hydra.run.dir=mixed")
    one, two = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("alone", "mixed"))
    assert one["test"] == two["test"] == two["test_by_set"]["world"]
    assert same(end_state(tmp_path / "alone"), end_state(tmp_path / "mixed")) is None


def test_mine_probe_and_evaluate_take_a_mix(hardneg, mixed, tmp_path):
    hardneg("train", *mixed, *SMALL, "trainer.max_epochs=1", "hydra.run.dir=run")
    best = "ckpt_path=run/checkpoints/best.ckpt"
    hardneg("evaluate", *mixed, best, "hydra.run.dir=again")
    one, two = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("run", "again"))
    assert one["test"]["after"] == two["test"]["checkpoint"]
    assert one["test_by_set"]["places"]["BM25"] == two["test_by_set"]["places"]["BM25"]
    hardneg("mine", *mixed, best, "negatives=[bm25,mined]", "export.form=ids", "hydra.run.dir=mined")
    for name in ("bm25", "mined"):
        for line in map(json.loads, (tmp_path / "mined" / f"{name}.jsonl").read_text().splitlines()):
            assert {one.split("/")[0] for one in line["negative_ids"]} == {line["query_id"].split("/")[0]}
    doubled = [*mixed, "data.sets.world.positives=2", "negatives=[bm25]", "share=0.5"]
    assert "hidden positives that leak" in hardneg("probe", *doubled, "hydra.run.dir=probed").stdout


def test_train_teacher_takes_a_mix_but_no_prompts(hardneg, mixed, bert, tmp_path):
    few = [
        "batch_size=4",
        "trainer.max_steps=2",
        "evaluate.depth=5",
        "evaluate.metrics=[ndcg@5]",
        "evaluate.best=ndcg@5",
    ]
    arguments = ["train-teacher", *mixed, *few, f"encoder.model={bert}", "logger=csv", "encoder.max_length=32"]
    hardneg(*arguments, "hydra.run.dir=run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["test_by_set"].keys() == {"world", "places"}
    said = hardneg(*arguments, "+data.prompts.places={query: x}", code=2).stderr
    assert "data.prompts are for dual encoders" in said
