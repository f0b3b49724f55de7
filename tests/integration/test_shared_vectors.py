"""A run embeds its corpus once for each state of the weights, whoever asks, and comes to the same numbers."""

from __future__ import annotations

import json

import pytest
from mined_runs import MINED, stores
from run_folders import end_state, same

from hardneg.commands import train
from hardneg.retrieval import embed_tables, held_vectors, model, retriever


@pytest.fixture
def embedded(monkeypatch):
    """How many documents of how many tables were embedded, as a list of counts."""
    counts = []
    embed = embed_tables.embed_rows

    def counting(towers, table, side, precision, rows, bar):
        counts.extend([len(rows)] if side == "document" and len(rows) > 100 else [])
        return embed(towers, table, side, precision, rows, bar)

    for module in (embed_tables, model, retriever):
        monkeypatch.setattr(module, "embed_rows", counting)
    return counts


def test_the_corpus_is_embedded_once_for_each_state_of_the_weights(hardneg, small, tmp_path, embedded, monkeypatch):
    arguments = [*small, *MINED, "evaluate.before=true", "evaluate.bm25=null", "trainer.max_epochs=2"]
    hardneg("train", *arguments, "hydra.run.dir=shared", f"cache={tmp_path}/one")
    documents = json.loads((tmp_path / "shared/summary.json").read_text())["sizes"]["documents"]
    # Before the first step (test, dev, mining), after the first epoch (dev, mining), after the last (dev, test).
    assert embedded == [documents] * 3
    assert not list((tmp_path / "one/work").iterdir())
    embedded.clear()
    monkeypatch.setattr(train, "corpus_vectors", lambda *_: None)
    monkeypatch.setattr(held_vectors, "HELD_BYTES", 0)
    hardneg("train", *arguments, "hydra.run.dir=apart", f"cache={tmp_path}/two")
    assert embedded == [documents] * 6
    assert stores(tmp_path / "shared") == stores(tmp_path / "apart")
    assert same(end_state(tmp_path / "shared"), end_state(tmp_path / "apart")) is None
    one, two = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("shared", "apart"))
    assert one["dev"] == two["dev"] and one["test"] == two["test"]


def test_the_final_test_uses_what_the_best_evaluation_embedded(hardneg, small, tmp_path, embedded, monkeypatch):
    arguments = [*small, "evaluate.bm25=null", "trainer.max_epochs=5", "optimizer.lr=0.03", "schedule=constant"]
    hardneg("train", *arguments, "hydra.run.dir=held")
    held = json.loads((tmp_path / "held/summary.json").read_text())
    documents, curve = held["sizes"]["documents"], held["dev"]["history"]
    assert held["dev"]["best"] not in (curve[0]["val/ndcg@10"], curve[-1]["val/ndcg@10"]), "the last is not the best"
    assert embedded == [documents] * len(curve)
    embedded.clear()
    monkeypatch.setattr(held_vectors, "HELD_BYTES", 0)
    hardneg("train", *arguments, "hydra.run.dir=apart")
    assert embedded == [documents] * (len(curve) + 1)
    apart = json.loads((tmp_path / "apart/summary.json").read_text())
    assert held["dev"] == apart["dev"] and held["test"] == apart["test"]
    for name in ("test.run", "per_query.parquet"):
        assert (tmp_path / "held" / name).read_bytes() == (tmp_path / "apart" / name).read_bytes()


def test_documents_that_are_not_trained_are_embedded_once_for_the_whole_run(hardneg, small, tmp_path, embedded):
    few = [*small, "evaluate.bm25=null"]
    hardneg("train", *few, "trainer.max_epochs=1", "evaluate.before=false", "hydra.run.dir=base")
    embedded.clear()
    arguments = [*few, *MINED, "evaluate.before=true", "trainer.max_epochs=2", "init_from=base"]
    hardneg("train", *arguments, "encoder.freeze=document", "hydra.run.dir=frozen")
    frozen = json.loads((tmp_path / "frozen/summary.json").read_text())
    assert embedded == [frozen["sizes"]["documents"]]
    assert len(set(stores(tmp_path / "frozen")["mined"])) == 2, "queries moved, and their lists with them"
    assert frozen["test"]["after"] != frozen["test"]["before"]
