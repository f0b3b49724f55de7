"""The health of mined lists, by hand."""

from __future__ import annotations

import pytest
from by_row import KNOWN, Counting, mine

from hardneg.data.tables import RetrievalData
from hardneg.data.training_set import TrainingSet
from hardneg.filters.rank_window import RankWindow
from hardneg.mining.bm25 import BM25
from hardneg.mining.health import dropped, health
from hardneg.testing.synthetic import make_qrels, make_texts, make_training


def test_health_in_numbers(tmp_path):
    """Ten documents in the order of their rows; 3 is the positive and the rank window drops 0 and 1."""
    split = make_training([(0, 3)], queries=1)
    store = mine(Counting(), split, {**KNOWN, "rank_window": RankWindow(skip=2)}, 4, tmp_path)
    numbers = health(store, k=3, pool=2)  # of 0 1 2 3 4 are kept: 2 4
    assert numbers["kept"] == pytest.approx(2 / 5)
    assert numbers["queries_short"] == 1.0
    assert numbers["backfill"] == 1.0  # both stood below the first two ranks
    assert numbers["above_positive"] == 0.5  # document 2 outscores the positive, 4 does not
    later = mine(Counting(start=2), split, KNOWN, 4, tmp_path)  # 2 4 5 6
    assert health(later, k=1, pool=2, previous=store)["overlap"] == 1.0
    assert dropped(store) == {"kept": 2, "known_positives": 1, "rank_window": 2}


def test_a_query_without_any_hit_is_short(tmp_path):
    data = TrainingSet(
        RetrievalData("tiny", make_texts(["apple pie", "apple tree", "cold sea"]), make_texts(["apple", "zebra"], "q"),
                      {"train": make_qrels([(0, 0), (1, 2)])})
    )  # fmt: skip
    store = mine(BM25(language=None), data, KNOWN, 2, tmp_path)
    assert not store.mined[1] and health(store, k=1, pool=2)["queries_short"] == 0.5
