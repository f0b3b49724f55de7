"""Several test sets in one run, by the command line."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from run_folders import rows

PAIRS = 24
SMALL = ["data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6", "encoder.dim=16"]
SMALL += ["batch_size=8", "trainer.max_epochs=1", "logger=csv", "negatives=[in_batch]"]


@pytest.fixture
def places(environment, tmp_path):
    """Pairs in a file, of which a part is to test."""
    lines = [json.dumps({"query": f"where is place {i}", "positive": f"here lies place {i}"}) for i in range(PAIRS)]
    (tmp_path / "places.jsonl").write_text("\n".join(lines))
    return "evaluate.also={places: {path: places.jsonl, test_share: 0.5}}"


def test_splits_and_other_sets_are_tested_before_and_after_and_chosen_again(hardneg, places, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def first_hit(qrels, run):\n"
        "    return {q: float(qrels[q].get(max(f, key=f.get), 0) > 0) for q, f in run.items() if f}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HARDNEG_TARGETS", "mine.")
    metrics = ["evaluate.metrics=[ndcg@10,P@1,bpref,{_target_: mine.first_hit}]", "evaluate.best=first_hit"]
    run = [*SMALL, places, *metrics, "split.test=[test,dev]"]
    said = hardneg("train", *run, "hydra.run.dir=run")
    assert "toy (test), toy (dev), places (test): mean of the sets" in " ".join(said.stdout.split())
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    sets = summary["test_by_set"]
    assert list(sets) == list(summary["test_set"]) == ["test", "dev", "places"]
    assert all(rows.keys() == {"BM25", "before", "after"} for rows in sets.values())
    for name, mean in summary["test"]["after"].items():
        assert mean == pytest.approx(np.mean([rows["after"][name] for rows in sets.values()]))
    assert {path.name for path in (tmp_path / "run" / "test").iterdir()} == {"test.run", "dev.run", "places.run"}
    tested = {key: value for row in rows(tmp_path / "run") for key, value in row.items()}
    assert tested["test/places/P@1"] == tested["test/places/first_hit"] == sets["places"]["after"]["P@1"]
    # dev is a test set too, so what chose best.ckpt is what its test found
    assert summary["dev"]["best"] == pytest.approx(sets["dev"]["after"]["first_hit"])
    per_query = pq.read_table(tmp_path / "run" / "per_query.parquet").to_pylist()
    assert all(row["query_id"].startswith(f"{row['set']}/") for row in per_query)

    hardneg("evaluate", *SMALL[:5], "ckpt_path=run", places, *metrics[:1], "hydra.run.dir=again")
    again = json.loads((tmp_path / "again" / "summary.json").read_text())["test_by_set"]
    assert list(again) == ["toy", "places"]
    assert again["places"]["checkpoint"] == pytest.approx(sets["places"]["after"])
    assert again["toy"]["checkpoint"] == pytest.approx(sets["test"]["after"])

    shown = hardneg("compare", "run", "--set", "places", "--metric", "bpref", "--cluster-positives").stdout
    assert "toy on places: test bpref" in shown


@pytest.mark.parametrize(
    "words, said",
    [
        (["evaluate.also={a: {path: gone}}"], "evaluate.also.a: path=gone: there is no such file or folder"),
        (["split.test=[test,gone]"], "has no split 'gone'"),
        (["split.test=[test,dev]", "evaluate.also={dev: {data: toy}}"], "has the name of a split"),
        (["evaluate.also={toy: {data: toy}}"], "choose another name"),
        (["evaluate.also={a: {data: toy, test: gone}}"], "evaluate.also.a: data set 'toy' has no split 'gone'"),
        (["evaluate.metrics=[ndgc@10]"], "'ndgc@10' is not known; there are ndcg@k"),
        (["split.test=null", "evaluate.also={a: {data: toy}}"], "name its split"),
    ],
)
def test_what_cannot_be_tested_is_refused_before_training(hardneg, environment, words, said):
    stopped = hardneg("train", *SMALL, *words, "hydra.run.dir=refused", code=2)
    assert said in " ".join(stopped.stderr.split()) and "epoch" not in stopped.stderr
