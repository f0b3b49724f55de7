"""Mined lists opened again: from a run folder to documents with texts, scores and fates."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.errors import UserError
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.rank_window import RankWindow
from hardneg.mining.bm25 import BM25
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.runs.drawn_stores import note_store, read_stores
from hardneg.runs.mined_lists import open_mined

WORLD = {"docs": 120, "queries": 60, "names": 12, "attributes": 6, "false_negative_rate": 0.2}


@pytest.fixture(scope="module")
def mined(tmp_path_factory):
    """A run folder that names a store in a cache, as `hardneg mine` leaves them."""
    root = tmp_path_factory.mktemp("mined")
    training = TrainingSet(Toy(**WORLD).load())
    filters = {"known_positives": KnownPositives(), "rank_window": RankWindow(3)}
    for rule in filters.values():
        rule.prepare(training)
    store = mine_and_store(MiningRecipe(BM25(), 20, "all", filters), training, root / "cache")
    config = {"cache": str(root / "cache"), "split": "train", "negatives": {"bm25": {}, "other": {}}}
    config["data"] = {"_target_": "hardneg.data.toy.Toy", **WORLD}
    (root / "run/.hydra").mkdir(parents=True)
    (root / "run/.hydra/config.yaml").write_text(json.dumps(config))
    (root / "run/bm25.json").write_text(json.dumps({"store": store.folder.name}))
    return root, store, training


def test_a_table_says_what_became_of_each_document(mined):
    root, store, training = mined
    lists = open_mined(root / "run")
    assert lists.source == "bm25" and len(lists.queries) == len(training.queries)
    table = lists.table(lists.queries).to_pandas()
    assert table["fate"].value_counts().to_dict() == {k: n for k, n in lists.fates.items() if n}
    query = lists.queries[3]
    one = table[table["query"] == query].reset_index()
    row = training.data.queries.rows[query]
    docs = [training.data.corpus.rows[name] for name in one["document"]]
    assert docs == store.ids[row][store.ids[row] >= 0].tolist()
    assert one["text"].tolist() == training.data.corpus.take(docs)
    assert one["query_text"][0] == training.data.queries[row]
    np.testing.assert_array_equal(one["score"].to_numpy(np.float32), store.scores[row][: len(one)])
    assert (one["positive_score"] == store.positive[row]).all()
    assert one["rank"].tolist() == list(range(len(one)))
    assert set(one["fate"][:3]) <= {"known_positives", "rank_window"} and (one["fate"][4:] == "kept").any()


def test_it_says_what_is_relevant_by_the_labels_and_in_truth(mined):
    root, _, training = mined
    table = open_mined(root / "run", "bm25").table(training.data.queries.ids.take(training.queries).to_pylist())
    frame = table.to_pandas()
    labelled = frame[frame["relevant"] == "labelled"]
    assert len(labelled) and set(labelled["fate"]) == {"known_positives"}
    hidden = frame[frame["relevant"] == "hidden"]
    truth = {(int(q), int(d)) for q, d in zip(training.data.truth.queries, training.data.truth.docs, strict=True)}
    rows = training.data.queries.rows, training.data.corpus.rows
    assert len(hidden)
    for query, doc in zip(hidden["query"], hidden["document"], strict=True):
        assert (rows[0][query], rows[1][doc]) in truth


def test_no_queries_make_an_empty_table(mined):
    lists = open_mined(mined[0] / "run")
    assert lists.table([]).num_rows == 0 and "fate" in lists.table([]).column_names


def test_the_histogram_is_a_figure_of_its_own(mined, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "backend", "svg")
    figure = open_mined(mined[0] / "run").histogram()
    assert {text.get_text() for text in figure.legends[0].get_texts()} >= {"positive", "kept"}
    assert matplotlib.get_backend() == "svg"


def test_what_cannot_be_opened_is_said(mined, tmp_path):
    root, store, _ = mined
    with pytest.raises(UserError, match="not a run folder"):
        open_mined(tmp_path)
    with pytest.raises(UserError, match=r"choose a source.*bm25"):
        open_mined(root / "run", "other")
    with pytest.raises(UserError, match="no round 1"):
        open_mined(root / "run", round=1)
    with pytest.raises(UserError, match="no query 'nobody'"):
        open_mined(root / "run").table(["nobody"])
    moved = store.folder.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="mine them again"):
        open_mined(root / "run")
    moved.rename(store.folder)


def test_a_training_run_has_rounds_and_a_repeated_note_changes_nothing(tmp_path):
    assert note_store(tmp_path, "mined", "a", 0, True)
    assert not note_store(tmp_path, "bm25", "x", 0, False)
    assert note_store(tmp_path, "mined", "b", 10, True)
    # resumed after a kill: the list is there, but it was this run that mined it
    assert note_store(tmp_path, "mined", "b", 10, False)
    assert read_stores(tmp_path, []) == {"mined": ["a", "b"], "bm25": ["x"]}
    assert len((tmp_path / "stores.jsonl").read_text().splitlines()) == 3


def test_what_a_killed_run_drew_after_its_last_checkpoint_is_no_round_of_the_resumed_one(tmp_path):
    for store, step in (("a", 0), ("b", 10), ("c", 20)):
        note_store(tmp_path, "mined", store, step, True)
    note_store(tmp_path, "other", "y", 15, True)
    # resumed from step 8, on a device that rounds otherwise
    note_store(tmp_path, "mined", "a", 8, False)
    note_store(tmp_path, "mined", "b2", 10, True)
    assert read_stores(tmp_path, []) == {"mined": ["a", "b2"], "other": ["y"]}
