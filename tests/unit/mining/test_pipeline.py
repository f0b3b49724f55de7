"""Mine, filter, store: what is kept, why the rest was dropped, and when lists are mined again."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from synthetic import make_training

from hardneg.data.training import TrainingSet
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.base import Hits
from hardneg.mining.bm25 import BM25
from hardneg.mining.pipeline import mine_and_store
from hardneg.mining.store import Store


@dataclass
class Counting:
    """Ranks all documents by row number, and counts how often it is asked."""

    start: int = 0
    calls: list = field(default_factory=list)

    def identity(self):
        return {"miner": "counting", "start": self.start}

    def mine(self, queries, corpus, k):
        self.calls.append((len(queries), k))
        ids = np.tile((np.arange(k) + self.start) % len(corpus), (len(queries), 1)).astype(np.int32)
        return Hits(ids, np.tile(-np.arange(k), (len(queries), 1)).astype(np.float32))


class Odd:
    """Keeps documents with an even row only."""

    def __call__(self, c, positive_ids):
        return c.ids % 2 == 0


class Below:
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, c, positive_ids):
        return c.ids < self.limit


def training(labels=((0, 0), (0, 2), (2, 5)), **more):
    """Query 1 is not in the split."""
    return make_training(labels, **more)


KNOWN = {"known_positives": KnownPositives()}


def test_reasons_hit_rate_and_kept_lists(tmp_path):
    store = mine_and_store(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path)
    assert np.load(store.folder / "reasons.npy")[[0, 2], :8].tolist() == [
        [1, 2, 1, 2, 0, 2, 0, 2],  # 0 and 2 are known positives; of the others the odd ones go
        [0, 2, 0, 2, 0, 1, 0, 2],  # the first filter that drops a document is the reason
    ]
    assert store.kept(0).tolist() == [4, 6] and store.kept(2).tolist() == [0, 2, 4, 6]
    assert store.card["reasons"] == ["kept", "known_positives", "odd"]
    report = store.report(3)
    assert report["hit_rate"] == pytest.approx(6 / 16)
    assert report["queries_short"] == 0.5  # query 0 has only 2 of 3


def test_known_positives_are_asked_for_in_addition_so_that_lists_stay_full(tmp_path):
    miner = Counting()
    store = mine_and_store(miner, training(), KNOWN, 4, tmp_path)
    assert miner.calls == [(2, 6)]  # the two training queries, 4 + at most 2 known positives
    assert len(store.kept(0)) >= 4 and len(store.kept(2)) >= 4


def test_queries_outside_the_split_stay_empty(tmp_path):
    store = mine_and_store(Counting(), training(), KNOWN, 4, tmp_path)
    assert store.kept(1).tolist() == []
    assert store.report(4)["queries_short"] == 0.0


def test_a_corpus_smaller_than_the_depth_is_mined_whole(tmp_path):
    store = mine_and_store(Counting(), training(docs=6), KNOWN, 50, tmp_path)
    assert store.kept(0).tolist() == [1, 3, 4, 5]


def test_more_queries_than_a_block_are_filtered_alike(tmp_path, monkeypatch):
    whole = mine_and_store(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path / "a")
    monkeypatch.setattr("hardneg.mining.pipeline.BLOCK", 2)
    parts = mine_and_store(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path / "b")
    assert [parts.kept(q).tolist() for q in range(3)] == [whole.kept(q).tolist() for q in range(3)]


def test_a_second_call_mines_nothing(tmp_path):
    miner = Counting()
    first, second = (mine_and_store(miner, training(), KNOWN, 4, tmp_path) for _ in range(2))
    assert len(miner.calls) == 1 and first.folder == second.folder


@pytest.mark.parametrize(
    "change",
    [
        {"miner": Counting(start=1)},
        {"depth": 5},
        {"filters": {}},
        {"filters": {**KNOWN, "below": Below(8)}},
        {"training": training(labels=((0, 0), (0, 2), (2, 4)))},
        {"training": training(docs=map(str, range(10)))},
        {"training": training(queries="abc")},
    ],
    ids=["miner", "depth", "no filter", "one more filter", "labels", "corpus", "queries"],
)
def test_whatever_decides_the_lists_is_in_their_name(change, tmp_path):
    base = {"miner": Counting(), "training": training(), "filters": KNOWN, "depth": 4, "cache": tmp_path}
    assert mine_and_store(**base).folder != mine_and_store(**{**base, **change}).folder


def test_a_filters_setting_is_in_the_name_too(tmp_path):
    one, two = (mine_and_store(Counting(), training(), {"below": Below(n)}, 4, tmp_path) for n in (3, 4))
    assert one.folder != two.folder


def test_the_order_of_filters_does_not_change_what_is_kept(tmp_path):
    one = mine_and_store(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path)
    two = mine_and_store(Counting(), training(), {"odd": Odd(), **KNOWN}, 6, tmp_path)
    assert one.kept(0).tolist() == two.kept(0).tolist()


def test_a_store_on_disk_holds_ids_scores_and_reasons_but_no_text(toy, tmp_path):
    folder = mine_and_store(BM25(), TrainingSet(toy), KNOWN, 5, tmp_path).folder
    assert {path.name for path in folder.iterdir()} == {"ids.npy", "scores.npy", "reasons.npy", "card.json"}
    types = [np.load(folder / f"{name}.npy").dtype for name in ("ids", "scores", "reasons")]
    assert types == [np.int32, np.float32, np.uint8]
    assert json.loads((folder / "card.json").read_text())["miner"]["miner"] == "bm25"
    assert Store(folder).report(1)["hit_rate"] > 0


def test_no_known_positive_is_ever_kept(tangled, tmp_path):
    split = TrainingSet(tangled)
    store = mine_and_store(BM25(), split, KNOWN, 10, tmp_path)
    assert not any(np.isin(store.kept(q), split.known[q]).any() for q in split.queries.tolist())


def mine_slowly(cache, calls, barrier):
    torch.set_num_threads(1)

    class Slow(Counting):
        def mine(self, queries, corpus, k):
            with calls.get_lock():
                calls.value += 1
            return super().mine(queries, corpus, k)

    barrier.wait()
    mine_and_store(Slow(), training(), KNOWN, 4, cache)


def test_two_processes_at_once_mine_once(tmp_path):
    context = multiprocessing.get_context("fork")
    calls, barrier = context.Value("i", 0), context.Barrier(2)
    jobs = [context.Process(target=mine_slowly, args=(tmp_path, calls, barrier)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0]
    assert calls.value == 1


def test_a_training_set_of_another_split_has_lists_of_its_own(toy, tmp_path):
    one, two = (mine_and_store(BM25(), TrainingSet(toy, split), KNOWN, 5, tmp_path) for split in ("train", "dev"))
    assert one.folder != two.folder


def test_renaming_the_data_set_mines_nothing_again(tmp_path):
    miner, first = Counting(), training()
    renamed = TrainingSet(replace(first.data, name="elsewhere"))
    mine_and_store(miner, first, KNOWN, 4, tmp_path)
    mine_and_store(miner, renamed, KNOWN, 4, tmp_path)
    assert len(miner.calls) == 1
