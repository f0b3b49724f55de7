"""Stored and Given: which part of a query's list is drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError, DataError
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.negatives.base import Setting, pad
from hardneg.negatives.given import Given
from hardneg.negatives.stored import Stored
from hardneg.teachers.file import FileTeacher
from hardneg.testing.synthetic import make_training


def stored(k, kept, **more):
    source = Stored(k, BM25(), **more)
    source.store = SimpleNamespace(kept=lambda query: np.array(kept, np.int32), teacher=lambda query: None)
    return source


def draws(source, count=200):
    return [source.draw(0, np.random.default_rng(seed)).ids.tolist() for seed in range(count)]


def test_top_takes_the_hardest_in_order():
    assert draws(stored(2, [9, 8, 7, 6], sampling="top"), 3) == [[9, 8]] * 3


def test_uniform_draws_from_the_whole_list():
    assert {i for ids in draws(stored(2, [9, 8, 7, 6])) for i in ids} == {9, 8, 7, 6}


def test_uniform_draws_from_the_first_kept_ones_of_the_pool():
    found = draws(stored(2, [9, 8, 7, 6], pool=3))
    assert {i for ids in found for i in ids} == {9, 8, 7}
    assert all(len(set(ids)) == 2 for ids in found)


@pytest.mark.parametrize("sampling", ["top", "uniform"])
def test_a_short_list_stays_short(sampling):
    assert draws(stored(3, [9], sampling=sampling), 1) == [[9, -1, -1]]
    assert draws(stored(3, [], sampling=sampling), 1) == [[-1, -1, -1]]


def test_prepared_on_real_lists_it_draws_what_the_store_kept(toy, tmp_path):
    source = Stored(2, BM25(), depth=5, sampling="top")
    training = TrainingSet(toy)
    source.prepare(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
    for query in training.queries[:5].tolist():
        assert source.draw(query, np.random.default_rng(0)).ids.tolist() == source.store.kept(query)[:2].tolist()
    numbers = {"kept", "recall", "nothing_found", "queries_short", "backfill", "above_positive"}
    numbers |= {"seconds", "documents_per_second"}
    assert source.report().keys() == numbers and source.report()["seconds"] > 0
    found = Stored(2, BM25(), depth=5)
    found.prepare(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
    assert found.report()["seconds"] == 0, "nothing was mined: the lists were there"


def test_a_teacher_that_cannot_be_read_is_refused_before_the_training_that_comes_before_its_first_round(toy, tmp_path):
    (tmp_path / "scores.csv").write_text("query-id,corpus-id,score\nq,d,high\n")
    source = Stored(2, Dense(), depth=5, teacher=FileTeacher(str(tmp_path / "scores.csv")))
    with pytest.raises(DataError, match=r"scores\.csv:2: .*not a number"):
        source.prepare(Setting(TrainingSet(toy), {}, tmp_path))


@pytest.mark.parametrize("wrong", [{"k": 6}, {"pool": 1}, {"pool": 6}, {"sampling": "best"}, {"k": 0}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ConfigError):
        Stored(**{"k": 2, "depth": 5, "miner": BM25(), **wrong})


def given(lists, known):
    source = Given(2)
    data = make_training([(0, doc) for doc in known], given=None if lists is None else [(0, doc) for doc in lists])
    source.prepare(Setting(data, {}, Path("unused")))
    return source


def test_given_draws_all_listed_documents_in_turn_but_no_known_positive():
    found = draws(given([4, 5, 6, 7], known=[5]))
    assert {i for ids in found for i in ids} == {4, 6, 7}
    assert draws(given([5, 7], known=[5]), 1) == [[7, -1]]
    assert draws(given([], known=[5]), 1) == [[-1, -1]]


def test_given_needs_data_that_names_negatives():
    with pytest.raises(ConfigError, match=r"negatives\.given.*'tiny'.*data=jsonl"):
        given(None, known=[5])


def test_pad_fills_up_with_minus_one():
    assert pad([3, 1], 4).tolist() == [3, 1, -1, -1] and pad([], 2).tolist() == [-1, -1]


def test_a_list_that_the_miner_left_short_is_drawn_from_its_documents_only(tmp_path):
    training = make_training([(0, 0)], docs=["red car", "red bus", "a blue bus", "red"], queries=["red"])
    source = Stored(2, BM25(), depth=50)
    source.prepare(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
    assert {tuple(sorted(ids)) for ids in draws(source, 20)} == {(1, 3)}
