"""hardneg ab on what training leaves: run folders, run files and checkpoints say the same."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

METRICS = "ndcg@10,recall@100"


@pytest.fixture
def runs(hardneg, small, tmp_path, tmp_path_factory):
    """An early and a later stage of one training, each with its run folder; trained once for all tests."""
    made = tmp_path_factory.getbasetemp() / "ab"
    for name, epochs in (("old", 1), ("new", 2)):
        if not (made / name).exists():
            more = [f"trainer.max_epochs={epochs}", "evaluate.before=false", "logger=csv", "evaluate.bm25=null"]
            hardneg("train", *small, *more, f"hydra.run.dir={made / name}")
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def told(path):
    return json.loads(path.read_text())


def test_folders_files_and_checkpoints_say_the_same(hardneg, runs):
    files = ["--json", "folders.json", "--html", "report.html", "--markdown", "report.md"]
    said = hardneg("ab", "old", "new", "--metric", METRICS, "--gate-delta", "-0.5", *files)
    folders = told(runs / "folders.json")
    assert "gate: passed" in said.stdout and "One run of each" in said.stdout
    assert (runs / "report.html").read_text().startswith("<!doctype html>") and (runs / "report.md").exists()

    # The run folder's own values, query by query.
    own = [
        pq.read_table(runs / name / "per_query.parquet", filters=[("system", "==", "after")]) for name in ("old", "new")
    ]
    for metric, found in zip(METRICS.split(","), folders["metrics"], strict=True):
        values = [dict(zip(t["query_id"].to_pylist(), t[metric].to_pylist(), strict=True)) for t in own]
        d = [values[1][query] - values[0][query] for query in folders["per_query"]["id"]]
        assert found["delta"] == pytest.approx(np.mean(d), abs=1e-12) and found["queries"] == len(d)
        if metric == "ndcg@10":
            np.testing.assert_allclose(folders["per_query"]["delta"], d, atol=1e-12)

    # The same from the run files and a qrels file; from checkpoints that rank now.
    qrels, data = qrels_of(runs)
    hardneg("ab", "old/test.run", "new/test.run", "--qrels", qrels, "--metric", METRICS, "--json", "files.json")
    checkpoints = [f"{name}/checkpoints/best.ckpt" for name in ("old", "new")]
    hardneg(
        "ab", *checkpoints, data, "split=[test]", "precision=32-true", "--metric", METRICS, "--json", "checkpoints.json"
    )
    for name in ("files", "checkpoints"):
        other = told(runs / f"{name}.json")
        assert other["metrics"] == folders["metrics"] and other["lost"] == folders["lost"], name
        assert other["rbo"] == pytest.approx(folders["rbo"])
    assert told(runs / "files.json")["slices"] == [] and len(folders["slices"]) > 1


def qrels_of(runs):
    """Write the toy world's judgements, and say which data it is."""
    from hardneg.data.toy import Toy
    from hardneg.retrieval.metrics import grades

    data = Toy().load()
    lines = [f"{q}\t{d}\t{g}\n" for q, docs in grades(data.split("test"), data).items() for d, g in docs.items()]
    (runs / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return "qrels.tsv", "data=toy"


def test_a_set_without_splits_is_compared_by_all_queries_that_were_evaluated(hardneg, runs):
    from hardneg.data.toy import Toy

    data = Toy().load()
    judged = data.split("train")
    pairs = [
        (data.queries[q], data.corpus[d]) for q, d in zip(judged.queries.tolist(), judged.docs.tolist(), strict=True)
    ]
    for name, some in (("faq", pairs), ("other", pairs[: len(pairs) // 2])):
        (runs / f"{name}.csv").write_text("query,positive\n" + "".join(f'"{q}","{d}"\n' for q, d in some))
    for name in ("old", "new"):
        words = [f"ckpt_path={name}", "data=table", "data.path=faq.csv", "evaluate.bm25=null", "device=cpu"]
        hardneg("evaluate", *words, f"hydra.run.dir=of_{name}")
    queries = json.loads((runs / "of_old/summary.json").read_text())["test"]["checkpoint"]
    checkpoints = [f"{name}/checkpoints/best.ckpt" for name in ("old", "new")]
    words = ["data=table", "data.path=faq.csv", "precision=32-true"]
    for sides, more in ((["of_old", "of_new"], []), (["of_old/test.run", "of_new"], words[:2]), (checkpoints, words)):
        hardneg("ab", *sides, *more, "--click-model", "none", "--json", "found.json")
        found = told(runs / "found.json")
        assert found["queries"] == len({query for query, _ in pairs}), sides
        assert found["metrics"][0]["old"] == pytest.approx(queries["ndcg@10"], abs=1e-6)

    # An evaluation says what it was tested on, so that another set is not taken for it.
    assert (
        "was tested on other documents"
        in hardneg("ab", "of_old", "of_new", words[0], "data.path=other.csv", code=2).stderr
    )
    # As with other commands, data= may be left out.
    refused = hardneg("ab", "of_old", "of_new", "data.path=other.csv", code=2).stderr
    assert "reading other.csv as data=table" in refused and "was tested on other documents" in refused


def test_the_exit_code_is_the_gates(hardneg, runs):
    done = hardneg("ab", "new", "old", "--gate-delta", "0.0", "--gate-slice", "-0.9", "--impressions", "1", code=1)
    assert "hardneg ab: gate: ndcg@10" in done.stderr and "gate: NOT passed" in done.stdout
    hardneg(
        "ab", "new", "new", "--gate-delta", "0.0", "--gate-lost", "0.0", "--gate-slice", "0.0", "--click-model", "none"
    )


def test_bad_input_is_refused_before_anything_is_ranked(hardneg, runs):
    qrels_of(runs)
    for words, says in (
        (["old"], "give two rankings, OLD and NEW, got 1"),
        (["old", "gone"], "gone: no such run folder, run file or checkpoint"),
        (["old/test.run", "new/test.run"], "run files do not say what is relevant: give --qrels FILE"),
        (["old/checkpoints/best.ckpt", "new"], "say what it is to rank"),
        (["old", "new", "data=toy", "data.docs=500"], "was tested on other documents, queries or judgements"),
        (["old", "new", "seed=3"], "seed=3: not read here"),
        (["old", "new", "data=nothing"], "nothing"),
        (["old", "new", "--metric", "ndgc@10"], "'ndgc@10' is not known"),
        (["old", "checkpoint"], "holds no *.run file"),
        (
            ["old", "new", "data=toy", "--qrels", "qrels.tsv"],
            "--qrels and data=toy: judgements and texts come from files or",
        ),
        (["old", "new", "--queries", "qrels.tsv"], "--queries is for --qrels FILE"),
    ):
        (runs / "checkpoint").mkdir(exist_ok=True)
        assert says in hardneg("ab", *words, code=2).stderr
