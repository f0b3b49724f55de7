"""hardneg from Python: a frame is trained on, and the run encodes, searches, evaluates and exports."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from sentence_transformers import SentenceTransformer

import hardneg as package
import hardneg.commands.train  # here: an import changes the process too
from hardneg.api.run import check_kind, texts_of
from hardneg.data.tokens import token_tables
from hardneg.encoders import checkpoint
from hardneg.errors import ConfigError, UserError
from hardneg.retrieval.embed_tables import embed_table

SETTINGS = {"encoder": "static", "encoder.dim": 16, "batch_size": 16, "logger": ["csv"], "optimizer": {"lr": 0.01}}


@pytest.fixture(scope="module")
def frame(toy):
    train = toy.qrels["train"].relevant
    prompt = {"prompt": "ask: "}  # which the data want before every query
    return pd.DataFrame({"question": toy.queries.take(train.queries), "answer": toy.corpus.take(train.docs), **prompt})


@pytest.fixture(scope="module")
def trained(frame, tmp_path_factory):
    """A run that mines, from a frame; what of the process was otherwise afterwards."""
    folder = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDNEG_CACHE", str(folder / "cache"))
        patch.setenv("WANDB_MODE", "offline")
        patch.chdir(folder)
        before = state()
        run = package.train(
            package.Data.from_pandas(frame, name="mine", dev_share=0.2, test_share=0.2),
            "trainer.max_epochs=2",
            negatives={"in_batch": None, "bm25": {"k": 2}},
            **SETTINGS,
        )
        changed = [name for name, value in state().items() if value != before[name]]
    return run, changed


def state():
    root = logging.getLogger()
    return {
        "root": (root.level, list(root.handlers)),
        "ours": (logging.getLogger("hardneg").level, logging.getLogger("lightning.pytorch").handlers[:]),
        "random": (str(np.random.get_state()), torch.get_rng_state().tolist()),  # noqa: NPY002  Python's own beartype draws from
        "warnings": list(warnings.filters),
        "environment": {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"},
    }


def test_the_process_is_as_it_was_and_the_run_is_in_its_folder(trained, frame):
    run, changed = trained
    assert changed == []
    assert run.folder.parent.name == "outputs" and run.folder.name.endswith("_mine-in_batch+bm25-infonce-s1")
    assert run.metrics == json.loads((run.folder / "summary.json").read_text())["test"]["after"]
    assert list(run.results) == ["BM25", "before", "after"] and [point["step"] for point in run.history] == [0, 1, 2]
    assert run.data.name == "mine" and len(run.data.queries) == frame.question.nunique()
    assert str(run).startswith("Run('") and "ndcg@10" in str(run)
    assert run.config.negatives.bm25.k == 2 and Path(run.config.data.path, "train.parquet").is_file()


def test_encode_gives_the_vectors_of_evaluation(trained):
    run, _ = trained
    loaded = checkpoint.load(run.folder / "checkpoints" / "best.ckpt")
    recipe = loaded.recipe
    tables = token_tables(run.data, loaded.tokenizer, recipe.query, recipe.document, Path(run.config.cache))
    for table, side, column in zip(tables, ("query", "document"), (run.data.queries, run.data.corpus), strict=True):
        at_evaluation = embed_table(loaded.towers, table, side, "32-true", side).numpy()
        found = run.encode(column.texts, kind=side)
        assert found.dtype == np.float32 and found.shape == (len(column), 16)
        np.testing.assert_allclose(found, at_evaluation, atol=1e-6)
    assert run.data.query_prompt == "ask: "
    assert run.encode("one text").shape == (16,)
    assert not np.allclose(run.encode("one text"), run.encode("one text", kind="query")), "the data's prompt"
    assert run.encode([]).shape == (0, 16) and run.encode(["a", "b"], width=8, progress=False).shape == (2, 8)
    with pytest.raises(UserError, match="kind is 'passage'"):
        check_kind("passage")
    with pytest.raises(UserError, match="text 1 is a float"):
        texts_of(["a", 0.5])


def test_search_and_rank_order_by_the_vectors(trained):
    run, _ = trained
    query = run.data.queries[0]
    scores = run.encode(run.data.corpus.texts) @ run.encode(query, kind="query")
    best = np.argsort(-scores)[:3]
    hits = run.search(query, k=3)
    assert [hit.id for hit in hits] == run.data.corpus.ids.take(best).to_pylist()
    assert [hit.score for hit in hits] == pytest.approx(scores[best].tolist(), abs=1e-6)
    assert run.search([query, query], k=1) == [hits[:1], hits[:1]]
    ranked = run.rank(query, run.data.corpus.texts.to_pylist(), k=3)
    assert [one.place for one in ranked] == best.tolist() and ranked[0].text == hits[0].text
    with pytest.raises(UserError, match="k is 0"):
        run.search(query, k=0)


def test_evaluate_gives_the_metrics_of_the_run_and_of_other_data(trained, frame, toy):
    run, _ = trained
    assert run.evaluate() == pytest.approx(run.metrics)
    assert run.evaluate(run.data, metrics=["ndcg@10"]) == pytest.approx({"ndcg@10": run.metrics["ndcg@10"]})
    assert run.evaluate(split="dev")["ndcg@10"] == pytest.approx(max(h["val/ndcg@10"] for h in run.history))
    whole = run.evaluate(package.Data.from_pandas(test=frame), metrics=["recall@1"])
    top = [run.search(query, k=1)[0].text == answer for query, answer in zip(frame.question, frame.answer, strict=True)]
    assert len(frame) == frame.question.nunique() and whole["recall@1"] == pytest.approx(np.mean(top))
    assert set(run.evaluate("toy", metrics=["mrr@10"])) == {"mrr@10"}
    with pytest.raises(UserError, match="Could not find 'data/tiy'; did you mean toy"):
        run.evaluate("tiy")
    with pytest.raises(UserError, match=r"no value for data.path; give it"):
        run.evaluate("beir")
    with pytest.raises(UserError, match="'nodcg@1' is not known"):
        run.evaluate(metrics=["nodcg@1"])


def test_evaluate_gives_what_the_command_gives_also_without_the_prompt_of_the_run_s_data(trained, frame, tmp_path):
    """Their queries never had it: numbers of the same encoder on the same file must not depend on who asks."""
    run, _ = trained
    frame[["question", "answer"]].to_json(tmp_path / "other.jsonl", orient="records", lines=True)
    words = ["data=jsonl", f"data.path={tmp_path / 'other.jsonl'}", f"ckpt_path={run.folder}", "evaluate.bm25=null"]
    package.run("evaluate", *words, f"hydra.run.dir={tmp_path / 'out'}", "precision=32-true")
    told = json.loads((tmp_path / "out" / "summary.json").read_text())["test"]["checkpoint"]
    assert run.evaluate(str(tmp_path / "other.jsonl")) == pytest.approx(told)


def test_evaluate_ranks_as_deep_as_a_metric_looks_and_takes_the_mean_of_several_test_splits(trained):
    """A recall@10 of one document is a recall@1."""
    run = package.open_run(trained[0].folder)
    run.config = OmegaConf.merge(run.config, {"evaluate": {"depth": 1}})
    whole = trained[0].evaluate(metrics=["recall@10", "ndcg@10"])
    assert run.evaluate(metrics=["recall@10", "ndcg@10"]) == pytest.approx(whole)
    with pytest.raises(UserError, match="depth=5 is too shallow for a metric at 10"):
        run.evaluate(metrics=["recall@10"], depth=5)
    run.config = OmegaConf.merge(run.config, {"split": {"test": ["test", "dev"]}})
    both = [run.evaluate(split=name, metrics=["ndcg@10"])["ndcg@10"] for name in ("test", "dev")]
    assert run.evaluate(metrics=["ndcg@10"])["ndcg@10"] == pytest.approx(np.mean(both))
    assert run.search([]) == []


def test_the_folder_is_a_run_for_every_command(trained, tmp_path, monkeypatch):
    run, _ = trained
    monkeypatch.chdir(tmp_path)
    again = package.open_run(run.folder)
    assert again.metrics == run.metrics and again.encode("x").tolist() == run.encode("x").tolist()
    words = ["data=table", f"data.path={run.config.data.path}", "data.dev_share=0.2", "data.test_share=0.2"]
    package.run("mine", *words, f"ckpt_path={run.folder}", "hydra.run.dir=mined", f"cache={run.config.cache}")
    assert package.open_mined("mined").queries
    exported = run.export("exported")
    vectors = SentenceTransformer(str(exported), device="cpu").encode(["some text"])
    np.testing.assert_allclose(vectors[0], run.encode("some text"), atol=1e-6)
    copy = shutil.copytree(run.folder, tmp_path / "copy")
    (copy / "summary.json").unlink()
    package.run("resume", str(copy))
    assert package.open_run(copy).metrics == pytest.approx(run.metrics)


def test_a_second_run_in_a_thread_is_the_same_run(trained, frame, monkeypatch, tmp_path):
    run, _ = trained
    monkeypatch.chdir(tmp_path)
    data = package.Data.from_records(frame.to_dict("records"), name="mine", dev_share=0.2, test_share=0.2)
    found = []

    def work():
        words = ["trainer.max_epochs=2", f"cache={Path(run.config.data.path).parents[1]}"]
        found.append(
            package.train(data, words, negatives={"in_batch": {}, "bm25": {"k": 2}}, folder="here", **SETTINGS)
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0].folder == tmp_path / "here" and found[0].metrics == run.metrics
    assert found[0].config.data.path == run.config.data.path, "equal rows lie in one place"


def test_what_cannot_work_is_an_exception_and_leaves_nothing(environment, tmp_path):
    rows = [{"query": "a", "positive": "b"}]
    with pytest.raises(ConfigError, match="makes one run"):
        package.train("toy", "-m", "seed=1,2")
    with pytest.raises(ConfigError, match="batch_size=0"):
        package.train("toy", batch_size=0)
    with pytest.raises(UserError, match="did you mean encoder"):
        package.train("toy", encodr="static")
    with pytest.raises(ConfigError, match="nothing to train on"):
        package.train(package.Data.from_records(test=rows))
    with pytest.raises(UserError, match="neither a checkpoint nor a run folder"):
        package.open_run("nowhere")
    assert list(tmp_path.iterdir()) == []
