"""Rows and batches: positives come first, the other slots are what was drawn, and all names agree."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from one_row import one_row

from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.sampler import Place
from hardneg.data.tokens import Side, TokenTable
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError
from hardneg.negatives.base import Draw, OfflineSource, Setting
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random
from hardneg.testing.synthetic import make_training

NAMES = ("positive", "random", "taught")


class Taught(OfflineSource):
    """Always draws document 9, with its teacher score, and padding."""

    has_teacher = True

    def draw(self, query, rng):
        return Draw(np.array([9, -1], np.int32), np.array([2.5, np.nan], np.float32))


@pytest.fixture
def training():
    return make_training([(0, 3), (0, 4), (2, 5)])


@pytest.fixture
def make(training, tmp_path):
    tokenizer = Static(vocab_size=100).tokenizer(training.data.corpus)
    tables = [
        TokenTable.build(texts, tokenizer, Side(), tmp_path, "texts")
        for texts in (training.data.queries, training.data.corpus)
    ]

    def build(positives=1, **sources):
        for source in sources.values():
            source.prepare(Setting(training, {}, Path("unused")))
        mixture = Mixture(sources, NAMES, seed=1)
        return TrainingRows(training, mixture, positives), Collate(*tables, training, mixture.has_teacher)

    return build


def test_a_query_with_several_positives_shows_another_one_each_epoch(make):
    rows, _ = make()
    assert len(rows) == 2, "the epoch goes over queries"
    assert [one_row(rows, epoch, 0).docs.tolist() for epoch in range(4)] == [[3], [4], [3], [4]]
    assert [one_row(rows, epoch, 1).query for epoch in range(2)] == [2, 2]


def test_several_positives_take_turns_and_each_is_shown_as_often(tmp_path):
    training = make_training([(0, 3), (0, 4), (0, 7), (1, 5)])
    rows = TrainingRows(training, Mixture({}, NAMES, seed=1), positives=2)
    assert [one_row(rows, epoch, 0).docs.tolist() for epoch in range(4)] == [[3, 4], [7, 3], [4, 7], [3, 4]]
    assert [one_row(rows, epoch, 1).docs.tolist() for epoch in range(2)] == [[5, -1]] * 2
    rows = TrainingRows(training, Mixture({}, NAMES, seed=1), positives=4)
    assert [sorted(one_row(rows, epoch, 0).docs.tolist()) for epoch in range(3)] == [[-1, 3, 4, 7]] * 3
    assert all(one_row(rows, epoch, 0).docs[0] >= 0 for epoch in range(3)), "slot 0 holds a document"


def test_a_batch_of_several_positives_pads_them_and_says_how_many_slots_there_are(make):
    rows, collate = make(positives=3, taught=Taught(2))
    batch = collate(rows.__getitems__([Place(0, 0), Place(0, 1)]))
    assert batch.positives == 3 and batch.to("cpu").positives == 3
    assert batch.doc_ids.tolist() == [[3, 4, -1, 9, -1], [5, -1, -1, 9, -1]]
    assert batch.source.tolist() == [[0, 0, 0, 2, 2]] * 2
    assert batch.positive_ids.tolist() == [[3, 4], [5, -1]]
    assert batch.teacher[:, :3].isnan().all() and batch.teacher[:, 3].tolist() == [2.5, 2.5]
    assert len(batch.docs) == 10 and batch.docs.lengths[[2, 6, 7]].tolist() == [1, 1, 1]


def test_a_batch_holds_what_its_rows_say(make, training):
    rows, collate = make(random=Random(2), taught=Taught(2))
    batch = collate(rows.__getitems__([Place(0, 0), Place(0, 1)]))
    assert batch.query_ids.tolist() == [0, 2] and batch.doc_ids[:, 0].tolist() == [3, 5]
    assert batch.source.tolist() == [[0, 1, 1, 2, 2]] * 2
    assert batch.doc_ids[:, 3:].tolist() == [[9, -1]] * 2
    assert batch.positive_ids.tolist() == [[3, 4], [5, -1]]
    assert batch.teacher[:, 3].tolist() == [2.5, 2.5] and batch.teacher[:, [0, 1, 2, 4]].isnan().all()
    assert len(batch.docs) == 10 and batch.docs.lengths[4] == 1  # padding is one token
    assert torch.equal(batch.docs.input_ids, collate.docs.batch(batch.doc_ids.flatten().numpy()).input_ids)


def test_without_a_teacher_there_are_no_teacher_scores(make):
    rows, collate = make(random=Random(1))
    assert collate(rows.__getitems__([Place(0, 0)])).teacher is None


def test_rows_and_collate_travel_to_workers(make):
    rows, collate = make(random=Random(2))
    there_rows, there_collate = pickle.loads(pickle.dumps((rows, collate)))
    here, there = (f(of.__getitems__([Place(3, 1)])) for of, f in ((rows, collate), (there_rows, there_collate)))
    assert torch.equal(here.doc_ids, there.doc_ids) and torch.equal(here.docs.input_ids, there.docs.input_ids)


def test_a_batch_moves_whole_but_keeps_its_lengths_on_the_cpu(make):
    rows, collate = make(taught=Taught(2))
    moved = collate(rows.__getitems__([Place(0, 0)])).to("meta")
    assert {moved.doc_ids.device.type, moved.teacher.device.type, moved.docs.input_ids.device.type} == {"meta"}
    assert moved.docs.lengths.device.type == "cpu"


def test_a_batch_larger_than_the_training_set_is_refused(make):
    with pytest.raises(ConfigError, match="batch_size=3 is more than the 2 training queries"):
        Batches(*make(random=Random(1)), batch_size=3, seed=1).train_dataloader()


def test_the_position_of_the_loader_is_state(make):
    first = Batches(*make(random=Random(1)), batch_size=1, seed=1)
    straight = [batch.query_ids.tolist() for batch in first.train_dataloader()]
    iterator = iter(first.train_dataloader())
    next(iterator)
    for early in (False, True):  # Lightning may restore before or after it asks for the loader
        again = Batches(*make(random=Random(1)), batch_size=1, seed=1)
        loader = again.train_dataloader() if early else None
        again.load_state_dict(first.state_dict())
        assert [batch.query_ids.tolist() for batch in loader or again.train_dataloader()] == straight[1:]
