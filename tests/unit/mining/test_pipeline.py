"""Mine, filter, store: what is kept, why the rest was dropped, and when lists are mined again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_row import KNOWN, Below, Counting, Scoring, mine

from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter, prepared
from hardneg.filters.duplicates import Duplicates
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.rank_window import RankWindow
from hardneg.filters.teacher_score import TeacherScore
from hardneg.mining.bm25 import BM25
from hardneg.mining.health import health
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.mining.store import Store
from hardneg.system import cache as cache_module
from hardneg.system import row_writer
from hardneg.system.cache import hold, release
from hardneg.testing.synthetic import make_data, make_training


class Odd(CandidateFilter):
    """Keeps documents with an even row only."""

    def __call__(self, c, positive_ids):
        return c.ids % 2 == 0


def training(labels=((0, 0), (0, 2), (2, 5)), **more):
    """Query 1 is not in the split."""
    return make_training(labels, **more)


def test_reasons_and_kept_lists(tmp_path):
    store = mine(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path)
    assert np.load(store.folder / "reasons.npy")[[0, 2], :8].tolist() == [
        [1, 2, 1, 2, 0, 2, 0, 2],  # 0 and 2 are known positives; of the others the odd ones go
        [0, 2, 0, 2, 0, 1, 0, 2],  # the first filter that drops a document is the reason
    ]
    assert store.kept(0).tolist() == [4, 6] and store.kept(2).tolist() == [0, 2, 4, 6]
    assert store.card["reasons"] == ["kept", "known_positives", "odd"]
    report = health(store, 3, 6)
    assert report["kept"] == pytest.approx(6 / 16)
    assert report["queries_short"] == 0.5  # query 0 has only 2 of 3


def test_known_positives_are_asked_for_in_addition_so_that_lists_stay_full(tmp_path):
    miner = Counting()
    store = mine(miner, training(), KNOWN, 4, tmp_path)
    assert miner.calls == [(2, 6)]  # the two training queries, 4 + at most 2 known positives
    assert len(store.kept(0)) >= 4 and len(store.kept(2)) >= 4


def test_queries_outside_the_split_stay_empty(tmp_path):
    store = mine(Counting(), training(), KNOWN, 4, tmp_path)
    assert store.kept(1).tolist() == []
    assert health(store, 4, 4)["queries_short"] == 0.0


def test_a_corpus_smaller_than_the_depth_is_mined_whole(tmp_path):
    store = mine(Counting(), training(docs=6), KNOWN, 50, tmp_path)
    assert store.kept(0).tolist() == [1, 3, 4, 5]


def test_more_queries_than_a_block_are_filtered_alike(tmp_path, monkeypatch):
    whole = mine(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path / "a")
    monkeypatch.setattr("hardneg.mining.rankings.BLOCK", 2)
    parts = mine(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path / "b")
    assert [parts.kept(q).tolist() for q in range(3)] == [whole.kept(q).tolist() for q in range(3)]


def test_a_second_call_mines_nothing(tmp_path):
    miner = Counting()
    first, second = (mine(miner, training(), KNOWN, 4, tmp_path) for _ in range(2))
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
    assert mine(**base).folder != mine(**{**base, **change}).folder


def test_a_filters_setting_is_in_the_name_too(tmp_path):
    one, two = (mine(Counting(), training(), {"below": Below(n)}, 4, tmp_path) for n in (3, 4))
    assert one.folder != two.folder


def test_other_filters_rank_nothing_again(tmp_path):
    miner = Counting()
    one = mine(miner, training(), KNOWN, 4, tmp_path)
    asked = list(miner.calls)
    two = mine(miner, training(), {**KNOWN, "odd": Odd()}, 4, tmp_path)
    assert miner.calls == asked and one.folder != two.folder
    assert one.card["rankings"] == two.card["rankings"]
    alone = mine(Counting(), training(), {**KNOWN, "odd": Odd()}, 4, tmp_path / "alone")
    for array in ("ids", "scores", "reasons", "positive"):
        assert (two.folder / f"{array}.npy").read_bytes() == (alone.folder / f"{array}.npy").read_bytes()
    assert (one.folder / "ids.npy").samefile(two.folder / "ids.npy"), "documents and scores are on disk once"
    mine(miner, training(), KNOWN, 5, tmp_path)
    assert len(miner.calls) > len(asked), "a larger depth is another ranking"


def test_the_order_of_filters_that_judge_alone_does_not_change_what_is_kept(tmp_path):
    one = mine(Counting(), training(), {**KNOWN, "odd": Odd()}, 6, tmp_path)
    two = mine(Counting(), training(), {"odd": Odd(), **KNOWN}, 6, tmp_path)
    assert one.kept(0).tolist() == two.kept(0).tolist()
    assert one.folder != two.folder and two.card["reasons"] == ["kept", "odd", "known_positives"]


def test_lists_of_the_same_filters_in_another_order_are_not_taken_for_these(tmp_path):
    """Of two copies the rank window drops the first: after it, the second has no duplicate."""
    split = training([(0, 0)], docs=["a", "b", "b ", "c"], queries=1)
    filters = prepared({"duplicates": Duplicates(), "rank_window": RankWindow(skip=2)}, split)
    one = mine(Counting(), split, filters, 3, tmp_path)
    two = mine(Counting(), split, dict(reversed(filters.items())), 3, tmp_path)
    assert (one.kept(0).tolist(), two.kept(0).tolist()) == ([3], [2, 3])
    assert two.card["reasons"] == ["kept", "rank_window", "duplicates"]


def test_a_store_on_disk_holds_ids_scores_and_reasons_but_no_text(toy, tmp_path):
    folder = mine(BM25(), TrainingSet(toy), KNOWN, 5, tmp_path).folder
    assert {path.name for path in folder.iterdir()} == {
        "ids.npy", "scores.npy", "reasons.npy", "positive.npy", "card.json"
    }  # fmt: skip
    types = [np.load(folder / f"{name}.npy").dtype for name in ("ids", "scores", "reasons")]
    assert types == [np.int32, np.float32, np.uint8]
    assert json.loads((folder / "card.json").read_text())["miner"]["miner"] == "bm25"
    assert health(Store(folder), 1, 5)["kept"] > 0


def test_no_known_positive_is_ever_kept(tangled, tmp_path):
    split = TrainingSet(tangled)
    store = mine(BM25(), split, KNOWN, 10, tmp_path)
    assert not any(np.isin(store.kept(q), split.known[q]).any() for q in split.queries.tolist())


def mine_slowly(cache, calls, barrier):
    torch.set_num_threads(1)

    class Slow(Counting):
        def open(self, task):
            with calls.get_lock():
                calls.value += 1
            return super().open(task)

    barrier.wait()
    mine(Slow(), training(), KNOWN, 4, cache)


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
    one, two = (mine(BM25(), TrainingSet(toy, split), KNOWN, 5, tmp_path) for split in ("train", "dev"))
    assert one.folder != two.folder


def test_renaming_the_data_set_mines_nothing_again(tmp_path):
    miner, first = Counting(), training()
    renamed = TrainingSet(replace(first.data, name="elsewhere"))
    mine(miner, first, KNOWN, 4, tmp_path)
    mine(miner, renamed, KNOWN, 4, tmp_path)
    assert len(miner.calls) == 1


def test_the_teacher_scores_what_cheaper_filters_left_and_its_scores_are_kept(tmp_path):
    teacher = Scoring()
    filters = {**KNOWN, "odd": Odd(), "teacher_score": TeacherScore(high=5.0, margin=None)}
    store = mine(Counting(), training([(0, 0)]), filters, 8, tmp_path, teacher=teacher)
    assert store.kept(0).tolist() == [2, 4] and store.teacher(0).tolist() == [2.0, 4.0]
    assert teacher.asked == 1 + 4  # the positive 0, and 2, 4, 6, 8: not what was dropped before
    assert store.folder != mine(Counting(), training([(0, 0)]), filters, 8, tmp_path).folder


def test_a_filter_of_live_batches_leaves_mined_lists_alone(tmp_path):
    store = mine(Counting(), training(), {**KNOWN, "odd": Odd("live")}, 6, tmp_path)
    assert store.kept(0).tolist() == [1, 3, 4, 5, 6, 7]


def test_stores_are_removed_when_nobody_holds_them_any_more(tmp_path):
    store = mine(Counting(), training(), KNOWN, 4, tmp_path)
    hold(store.folder, "one")
    hold(store.folder, "two")
    release(store.folder, "one")
    assert store.folder.exists()
    release(store.folder, "two")
    assert not store.folder.exists() and not list(tmp_path.glob("stores/*.held-*"))


def test_abandoned_work_is_removed_and_fresh_work_is_not(tmp_path):
    for name, age in (("old", 30), ("new", 1)):
        (tmp_path / "work" / name).mkdir(parents=True)
        os.utime(tmp_path / "work" / name, (time.time() - age * 86400,) * 2)
    mine(Counting(), training(), KNOWN, 4, tmp_path)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["new"]


def test_what_is_judged_is_in_the_name_where_it_decides(tmp_path):
    """A judged negative is no label of the training set, but `only_judged_negatives` trains on nothing else."""

    def store(judged, mode):
        data = TrainingSet(make_data([(0, 5), (0, judged, 0)], queries=1))
        rule = KnownPositives(mode)
        rule.prepare(data)
        return mine(Counting(), data, {"known_positives": rule}, 8, tmp_path)

    one, two = (store(judged, "only_judged_negatives") for judged in (1, 2))
    assert one.folder != two.folder and (one.kept(0).tolist(), two.kept(0).tolist()) == ([1], [2])
    assert store(1, "drop_positives").folder == store(2, "drop_positives").folder


def test_a_store_that_somebody_waits_for_is_not_released(tmp_path):
    """The second owner notes its claim before it looks whether the store is there."""
    store = mine_and_store(MiningRecipe(Counting(), 4, "all", KNOWN), training(), tmp_path, owner="one")
    mine_and_store(MiningRecipe(Counting(), 4, "all", KNOWN), training(), tmp_path, owner="two")
    release(store.folder, "one")
    assert store.folder.exists()
    release(store.folder, "two")
    assert not store.folder.exists()


WRITES, NAMES = (row_writer, "dtype_to_descr"), (cache_module, "_sync")
# ids and scores are the rankings', reasons and positive the store's
MOMENTS = {"rankings_half": (WRITES, 2), "rankings_named": (NAMES, 1), "half": (WRITES, 4), "named": (NAMES, 2)}


def killed_while_writing(cache, moment):
    """Mine, and be killed when a layer is half written or just before it gets its name."""
    calls = []
    name, number = MOMENTS[moment]

    def kill(*arguments):
        calls.append(arguments)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    original = getattr(*name)
    setattr(*name, kill)
    mine(Counting(), training(), KNOWN, 4, cache)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_the_store_is_written_leaves_nothing_to_be_taken_for_one(tmp_path, moment):
    process = multiprocessing.get_context("fork").Process(target=killed_while_writing, args=(tmp_path / "cut", moment))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    left = list((tmp_path / "cut" / ("rankings" if "rankings" in moment else "stores")).iterdir())
    assert left and not [path for path in left if path.is_dir() and ".tmp-" not in path.name]
    whole, cut = (mine(Counting(), training(), KNOWN, 4, tmp_path / name) for name in ("whole", "cut"))
    for array in ("ids", "scores", "reasons", "positive"):
        assert (whole.folder / f"{array}.npy").read_bytes() == (cut.folder / f"{array}.npy").read_bytes()
    assert [path.name for path in cut.folder.parent.iterdir() if path.is_dir()] == [cut.folder.name]
