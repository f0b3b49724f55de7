"""How many of the known positives a miner finds, against sets written out, and beside BM25."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.training_set import TrainingSet
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.base import Hits, Miner
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.mining.health import health
from hardneg.mining.known_positives_found import BesideBM25, findable, found_of
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.testing.synthetic import make_model, make_training

LABELS = [(0, 2), (0, 7), (1, 4), (2, 9)]


class Fixed(Miner):
    """The same list for every query."""

    def __init__(self, ids):
        self.ids = ids

    def identity(self):
        return {"miner": "fixed", "ids": self.ids}

    def open(self, task):
        def rank(queries, positives, k):
            ids = np.tile((self.ids + [-1] * k)[:k], (len(queries), 1)).astype(np.int32)
            return Hits(ids, np.where(ids < 0, -np.inf, 0.5).astype(np.float32), np.ones(positives.shape, np.float32))

        return rank


def numbers_of(ids, depth, tmp_path, filters=None, training=None):
    training = training or make_training(LABELS)
    store = mine_and_store(MiningRecipe(Fixed(ids), depth, "all", filters or {}), training, tmp_path)
    return health(store, 1, depth, None, findable(training), depth)


@pytest.mark.parametrize(
    ("ids", "depth", "expected"),
    [
        ([2, 7, 4, 9], 4, 1.0),
        ([2, 0, 7, 9], 4, 3 / 4),
        ([2, 0, 7, 9], 2, 1 / 4),  # the list is longer for what the filters will drop, but only the first two count
        ([4, 7], 1, 1 / 3),  # of query 0 one of two can be first
        ([0, 1, 3], 3, 0.0),
    ],
)
def test_recall_is_the_share_of_known_positives_in_the_first_depth(ids, depth, expected, tmp_path):
    assert numbers_of(ids, depth, tmp_path)["recall"] == pytest.approx(expected)


def test_a_ruined_miner_has_all_kept_and_no_recall(tmp_path):
    """The better the miner, the more of its list the filter drops: `kept` rises as it is ruined."""
    rule = {"known_positives": KnownPositives()}
    good, ruined = (numbers_of(ids, 4, tmp_path, rule) for ids in ([2, 7, 4, 9], [0, 1, 3, 5]))
    assert ruined["kept"] == 1.0 > good["kept"] and ruined["recall"] == 0.0 < good["recall"] == 1.0


def test_against_sets_over_random_lists():
    draw = np.random.default_rng(0)
    training = make_training([(q, d) for q in range(3) for d in draw.permutation(10)[: q + 1].tolist()])
    ids = np.stack([draw.permutation(10)[:6] for _ in range(3)]).astype(np.int32)
    found, wanted = found_of(ids, training.known, np.arange(3), 4)
    for query in range(3):
        known = set(training.known[query].tolist())
        assert (found[query], wanted[query]) == (len(known & set(ids[query, :4].tolist())), min(len(known), 4))


def test_documents_that_may_not_be_mined_and_other_splits_do_not_count(tmp_path):
    training = make_training([(0, 2), (0, 7)], test=[(1, 4)])
    assert findable(training).values.tolist() == [2, 7]
    (tmp_path / "ids").write_text("d7\nd8\n")
    assert findable(training, str(tmp_path / "ids")).values.tolist() == [7]


def test_queries_without_any_hit_are_counted(tmp_path):
    numbers = numbers_of([], 3, tmp_path)
    assert numbers["nothing_found"] == 1.0 and numbers["queries_short"] == 1.0
    assert numbers_of([1], 3, tmp_path)["nothing_found"] == 0.0


def test_a_source_reports_the_recall_of_its_lists(toy, tmp_path):
    training = TrainingSet(toy)
    source = Stored(k=2, miner=BM25(), depth=10)
    source.prepare(Setting(training, {}, tmp_path))
    ids = source.store.ids
    hits = [np.isin(training.known[q], ids[q, :10]).mean() for q in training.queries.tolist()]
    assert source.report()["recall"] == pytest.approx(np.mean(hits)) and source.report()["recall"] > 0.2
    assert source.__getstate__()["findable"] is None


def test_bm25_is_measured_on_the_same_queries(toy, tmp_path):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    depth, beside = 10, BesideBM25(BM25(), training, tmp_path, queries=7)
    lists = {}
    for name, miner in (("bm25", BM25()), ("random", Dense())):
        ready = miner.ready(toy, model, tmp_path)
        lists[name] = mine_and_store(MiningRecipe(ready, depth, "all", {}), training, tmp_path)
    same, bm25 = beside.recalls(lists["bm25"], depth, "all")
    assert len(bm25) == 7 and same.tolist() == bm25.tolist(), "BM25 beside itself"
    weights_at_random, again = beside.recalls(lists["random"], depth, "all")
    assert again.tolist() == bm25.tolist() and weights_at_random.shape == (7,)


def test_bm25_ranks_the_documents_that_the_miner_ranks(tmp_path):
    """Over the whole corpus it would find less than over a part of it, and a bad miner would pass for a good one."""
    corpus = Texts.of(["closest", "positive", "other"], ["apple apple", "apple pie and cake", "pear pie"])
    one = np.ones(1, np.int32)
    data = RetrievalData(
        "fruit", corpus, Texts.of(["q"], ["apple"]), {"train": Qrels(0 * one, one, np.ones(1, np.float32))}
    )
    (tmp_path / "some").write_text("positive\nother\n", encoding="utf-8")
    training = TrainingSet(data)
    ready, beside = BM25().ready(data, None, tmp_path), BesideBM25(BM25(), training, tmp_path, queries=10)
    for documents, found in (("all", 0.0), (str(tmp_path / "some"), 1.0)):
        store = mine_and_store(MiningRecipe(ready, 1, documents, {}), training, tmp_path)
        assert [of.tolist() for of in beside.recalls(store, 1, documents)] == [[found], [found]]
