"""A query that is also a document is left out of what is ranked, mined and drawn for it, and of nobody else's."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import pytrec_eval
import torch
from omegaconf import OmegaConf

from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.mix import Mix
from hardneg.data.readers.beir import Beir
from hardneg.data.sampler import Place
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.baseline import baseline_metrics, baseline_run
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.mining.fused import Fused
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.negatives.base import Setting
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random
from hardneg.retrieval.metrics import QueryRankings, per_query
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.testing.synthetic import make_candidates, make_model

QUERIES = {"q0": "red apple", "q1": "green pear", "q2": "blue sea", "3": "grey cat", "q4": "old oak"}
CORPUS = {
    **{f"d{i}": ("", f"{text} and more of it") for i, text in enumerate(QUERIES.values())},
    "q0": ("", "red apple"),  # as in Quora
    "q1": ("fruit", "  green pear"),  # as in ArguAna, where documents have titles
    "q2": ("", "blue sea, deep sea"),  # another text
    "3": ("", "violet plum"),  # ids that are counted on both sides
    "q4": ("", "old oak"),  # judged relevant
}
JUDGED = {"q0": "d0", "q1": "d1", "q2": "d2", "3": "d3", "q4": "q4"}


def write(folder, corpus=CORPUS, queries=QUERIES, judged=JUDGED):
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": name, "title": title, "text": text}) for name, (title, text) in corpus.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"_id": name, "text": text}) for name, text in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    for split in ("train", "test"):
        lines = [f"{query}\t{doc}\t1" for query, doc in judged.items()]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "set")


@pytest.fixture
def data(folder):
    return Beir(str(folder)).load()


def own_of(data):
    ids = data.corpus.ids.to_pylist()
    return {data.queries.ids[query].as_py(): ids[doc] for query, doc in enumerate(data.own) if doc >= 0}


def test_it_is_known_by_id_and_text_a_title_aside_and_is_no_answer_that_was_judged(folder, caplog):
    with caplog.at_level(logging.INFO):
        data = Beir(str(folder)).load()
    assert own_of(data) == {"q0": "q0", "q1": "q1"}
    assert "set: 2 of 5 queries are documents themselves" in caplog.text and "data.own_documents=keep" in caplog.text


def test_keep_and_words_that_are_neither(folder, data):
    kept = Beir(str(folder), own_documents="keep").load()
    assert kept.own is None and kept.fingerprint("test") != data.fingerprint("test")
    assert TrainingSet(kept).fingerprint != TrainingSet(data).fingerprint
    with pytest.raises(ConfigError, match=r"data\.own_documents='drop' must be one of leave_out, keep"):
        Beir(str(folder), own_documents="drop")


def test_bm25_and_the_metrics_are_those_of_pytrec_eval_on_the_run_without_them(data, tmp_path):
    left_out = seen(data, None)
    cfg = OmegaConf.create({"evaluate": {"bm25": {"_target_": "hardneg.mining.bm25.BM25"}, "depth": 5}})
    cfg.merge_with({"evaluate": {"metrics": ["ndcg@10"]}, "cache": str(tmp_path / "cache")})
    found = baseline_metrics(cfg, data, "test", left_out)["BM25"]["ndcg@10"]
    full = baseline_run(BM25(), data, "test", len(data.corpus), tmp_path / "cache").as_dict(data)
    run = {q: {d: s for d, s in docs.items() if (q, d) not in {("q0", "q0"), ("q1", "q1")}} for q, docs in full.items()}
    judge = pytrec_eval.RelevanceEvaluator({q: {d: 1} for q, d in JUDGED.items()}, {"ndcg_cut.10"})
    expected = judge.evaluate(run)
    rows = data.split("test").query_rows
    names = data.queries.ids.take(rows).to_pylist()
    np.testing.assert_allclose(found, [expected[name]["ndcg_cut_10"] for name in names])
    assert found[0] == 1.0 and baseline_run(BM25(), data, "test", 1, tmp_path, left_out).ids.shape == (5, 1)


def test_the_model_ranks_all_others(data, tmp_path):
    model = make_model(data, tmp_path)
    plain, left = (
        Retriever(data, model.queries, model.docs, "32-true", known).runs(model.towers, ["test"], 10)["test"]
        for known in (None, seen(data, None))
    )
    for row, own in enumerate(data.own.tolist()):
        assert left.ids[row][left.ids[row] >= 0].tolist() == [doc for doc in plain.ids[row].tolist() if doc != own]


@pytest.mark.parametrize("kind", ["bm25", "dense", "fused"])
def test_it_is_in_no_mined_list_whatever_the_filters(kind, data, folder, tmp_path):
    training, model = TrainingSet(data), make_model(data, tmp_path)
    miner = {"bm25": BM25(), "dense": Dense(), "fused": Fused([BM25(), Dense()])}[kind]
    miner = miner.ready(data, model, tmp_path)
    store = mine_and_store(MiningRecipe(miner, 10, "all", {}), training, tmp_path)
    for query, own in enumerate(data.own.tolist()):
        assert own < 0 or own not in store.ids[query].tolist()
    keep = TrainingSet(Beir(str(folder), own_documents="keep").load())
    kept = mine_and_store(MiningRecipe(miner, 10, "all", {}), keep, tmp_path)
    assert kept.folder != store.folder and data.own[0] == kept.ids[0, 0], "it would be the first"
    assert [doc for doc in kept.ids[0].tolist() if doc not in (data.own[0], -1)] == store.ids[0][
        store.ids[0] >= 0
    ].tolist()


def test_it_is_neither_drawn_at_random_nor_taken_from_the_batch(data, tmp_path):
    training, model = TrainingSet(data), make_model(data, tmp_path)
    source = Random(k=len(data.corpus))
    source.prepare(Setting(training, {}, tmp_path))
    rows = TrainingRows(training, Mixture({"random": source}, ("positive", "random"), seed=1))
    made = rows.__getitems__([Place(0, i, 0) for i in range(len(rows))])
    for query, docs in zip(made.queries.tolist(), made.docs.tolist(), strict=True):
        assert data.own[query] < 0 or data.own[query] not in docs
    batch = Collate(model.queries, model.docs, training, has_teacher=False)(made)
    c = candidates_of(batch)
    dropped = ~KnownPositives()(c, batch.positive_ids)
    assert dropped[0, data.own[0]] and not dropped[2:, data.own[0]].any(), "of others it may be one"


def candidates_of(batch):
    """Every document beside every query."""
    ids = torch.arange(int(batch.doc_ids.max()) + 1).expand(len(batch), -1)
    return make_candidates(torch.zeros(ids.shape), ids=ids, query_ids=batch.query_ids)


def test_in_a_mix_each_sets_choice_holds(folder):
    mixed = Mix({"a": Beir(str(folder)), "b": Beir(str(folder), own_documents="keep"), "c": Beir(str(folder))}).load()
    assert own_of(mixed) == {f"{name}/q{i}": f"{name}/q{i}" for name in "ac" for i in (0, 1)}
    assert Mix({"b": Beir(str(folder), own_documents="keep")}).load().own is None


def test_a_set_without_any_is_what_it_was(tmp_path):
    corpus = {name: parts for name, parts in CORPUS.items() if name.startswith("d")}
    folder = write(tmp_path / "none", corpus, judged={**JUDGED, "q4": "d4"})
    data, kept = Beir(str(folder)).load(), Beir(str(folder), own_documents="keep").load()
    assert data.own is None and seen(data, None) is None
    assert TrainingSet(data).fingerprint == TrainingSet(kept).fingerprint
    assert data.fingerprint("test") == kept.fingerprint("test")


def test_metrics_of_a_query_that_finds_only_itself_are_zero(data):
    run = baseline_run_of(data)
    assert per_query(run.without(seen(data, None), 1), data.split("test"), data, ["mrr@10"])["mrr@10"][0] == 0.0


def baseline_run_of(data):
    rows = data.split("test").query_rows
    ids = np.where(data.own < 0, 0, data.own)[rows][:, None].astype(np.int32)
    return QueryRankings(rows, ids, np.ones(ids.shape, np.float32))
