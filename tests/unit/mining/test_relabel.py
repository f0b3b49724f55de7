"""Relabelling: what a teacher finds relevant is a positive for every source, on every path."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from by_row import KNOWN, Counting, Scoring
from one_row import one_row

from hardneg.data.dataset import TrainingRows, as_tensors
from hardneg.data.sampler import Place
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.rank_window import RankWindow
from hardneg.filters.teacher_score import TeacherScore
from hardneg.mining.health import dropped
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.mining.relabel import with_relabelling
from hardneg.mining.text_export import records
from hardneg.negatives.base import Setting
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random
from hardneg.negatives.stored import Stored
from hardneg.testing.synthetic import make_data

NAMES = ("positive", "one", "two", "in_batch")


@pytest.fixture
def prepare(tmp_path):
    """A source over ten documents ranked by their rows, which the teacher scores by their rows too."""

    def make(labels=((0, 0), (0, 7), (1, 5)), relabel=6.0, filters=KNOWN, start=0, texts=10, **more):
        training = TrainingSet(make_data(labels, docs=texts, queries=2))
        more = {"k": 2, "depth": 8, "teacher": Scoring(), **more}
        source = Stored(miner=Counting(start), relabel=relabel, **more)
        source.prepare(Setting(training, filters, tmp_path))
        return training, source

    return make


def test_what_the_teacher_scores_high_is_no_negative_and_has_a_reason(prepare):
    _, source = prepare()
    store = source.store
    assert store.card["reasons"] == ["kept", "known_positives", "relabelled"]
    assert store.kept(0).tolist() == [1, 2, 3, 4, 5] and store.kept(1).tolist() == [0, 1, 2, 3, 4]
    assert store.relabelled(0).tolist() == [6, 8, 9] and store.relabelled_teacher(0).tolist() == [6.0, 8.0, 9.0]
    assert store.relabelled(1).tolist() == [6, 7, 8, 9], "7 is a positive of the other query only"
    assert dropped(store) == {"kept": 10, "known_positives": 3, "relabelled": 7}
    assert source.report()["relabelled"] == pytest.approx(7 / 20)


def test_filters_that_only_drop_come_after_it_if_they_read_the_teacher_and_before_it_if_they_are_cheap(prepare):
    filters = {"teacher_score": TeacherScore(high=3.0, margin=None), "rank_window": RankWindow(skip=2), **KNOWN}
    _, source = prepare(filters=filters)
    assert source.store.card["reasons"] == ["kept", "relabelled", "teacher_score", "rank_window", "known_positives"]
    assert source.store.relabelled(0).tolist() == [6, 8, 9], "7 is known: that is the reason"
    assert source.store.kept(0).tolist() == [2, 3]
    _, source = prepare(filters={"rank_window": RankWindow(skip=0, last=9), **KNOWN})
    assert source.store.relabelled(0).tolist() == [6, 8], "9 was never scored"


def test_off_by_default_it_leaves_no_trace(prepare, tmp_path):
    training, source = prepare(relabel=None)
    recipe = MiningRecipe(Counting(), 8, "all", KNOWN, Scoring())
    assert with_relabelling(KNOWN, None) == KNOWN
    assert mine_and_store(recipe, training, tmp_path).folder == source.store.folder, "nothing is named"
    assert "relabelled" not in source.report() and not len(source.relabelled(0).ids)
    folders = {prepare(relabel=value)[1].store.folder for value in (None, 6.0, 7.0)}
    assert len(folders) == 3, "the threshold is part of the name"


def test_it_takes_turns_with_the_labelled_positives_and_brings_its_teacher_score(prepare):
    training, source = prepare()
    rows = TrainingRows(training, Mixture({"one": source}, NAMES, seed=1), positives=1)
    shown = [one_row(rows, epoch, 0) for epoch in range(5)]
    assert [row.docs[0] for row in shown] == [0, 7, 6, 8, 9]
    assert [row.teacher[0] for row in shown] == [0.0, 7.0, 6.0, 8.0, 9.0]
    rows = TrainingRows(training, Mixture({"one": source}, NAMES, seed=1), positives=3)
    assert [one_row(rows, epoch, 0).docs[:3].tolist() for epoch in range(2)] == [[0, 7, 6], [8, 9, 0]]


def test_it_is_a_known_positive_of_live_batches_by_text_too(prepare):
    texts = [*(f"text {i}" for i in range(8)), "twin", "text 9", "twin "]
    training, source = prepare(labels=[(0, 0), (1, 5)], relabel=7.5, texts=texts, depth=8)
    assert source.store.relabelled(0).tolist() == [8], "the first nine were examined"
    rows = TrainingRows(training, Mixture({"one": source}, NAMES, seed=1))
    batch = as_tensors(rows.__getitems__([Place(0, 0), Place(0, 1)]), training.known, has_teacher=True)
    assert [sorted(ids) for ids in batch["positive_ids"].tolist()] == [[0, 8, 10], [5, 8, 10]]


def test_another_sources_draws_leave_it_out(prepare, tmp_path):
    training, source = prepare(labels=[(0, 0), (1, 5)], relabel=2.0)
    other = Random(6)
    other.prepare(Setting(training, KNOWN, tmp_path))
    mixture = Mixture({"one": source, "two": other}, NAMES, seed=1)
    rows = TrainingRows(training, mixture)
    relabelled = set(source.store.relabelled(0).tolist())
    met = set()
    for epoch in range(8):
        row = one_row(rows, epoch, 0)
        drawn = mixture.draw(epoch, 0)[0]
        void = [doc in relabelled for doc in drawn]
        assert row.docs[1:].tolist() == [-1 if out else doc for doc, out in zip(drawn.tolist(), void, strict=True)]
        assert np.isnan(row.teacher[1:][np.array(void)]).all()
        met |= relabelled & set(drawn.tolist())
    assert met, "the other source never drew one"


def test_a_new_round_replaces_the_old_ones_and_workers_see_it(prepare):
    training, source = prepare(labels=[(0, 0), (1, 5)], depth=3, k=1, start=5)
    rows = TrainingRows(training, Mixture({"one": source}, NAMES, seed=1))
    assert source.relabelled(0).ids.tolist() == [6, 7, 8]
    version = source.version
    source.use(prepare(labels=[(0, 0), (1, 5)], depth=3, k=1, start=8)[1].store)
    assert source.relabelled(0).ids.tolist() == [8, 9] and source.version == version + 1
    elsewhere = pickle.loads(pickle.dumps(rows))
    assert [one_row(elsewhere, epoch, 0).docs[0] for epoch in range(3)] == [0, 8, 9]


def test_before_the_first_round_there_are_none(prepare):
    training, _ = prepare()
    source = Stored(2, Counting(), depth=8, teacher=Scoring(), relabel=6.0)
    rows = TrainingRows(training, Mixture({"one": source}, NAMES, seed=1))
    assert [one_row(rows, epoch, 0).docs.tolist() for epoch in range(2)] == [[0, -1, -1], [7, -1, -1]]


def test_exports_name_it_among_the_positives(prepare):
    training, source = prepare()
    first = next(records(source.store, training, 2, "ids"))
    assert first["positive_ids"] == ["d0", "d7", "d6", "d8", "d9"] and first["negative_ids"] == ["d1", "d2"]


@pytest.mark.parametrize("more", [{"relabel": 0.9}, {"sampling": "stratified"}])
def test_it_needs_a_teacher(more):
    key, value = next(iter(more.items()))
    with pytest.raises(ConfigError, match=f"{key}={value} reads scores of a teacher"):
        Stored(2, Counting(), **more)


def test_stratified_draws_read_the_teachers_scores_of_the_pool(prepare):
    _, source = prepare(relabel=None, sampling="stratified", pool=6, k=3)
    kept = source.store.kept(0)[:6].tolist()
    assert kept == [1, 2, 3, 4, 5, 6]
    for seed in range(50):
        drawn = source.draw(0, np.random.default_rng(seed))
        assert drawn.teacher.tolist() == drawn.ids.tolist(), "each keeps its own score"
        assert [sorted(drawn.ids.tolist())[i] in pair for i, pair in enumerate([(1, 2), (3, 4), (5, 6)])] == [True] * 3
