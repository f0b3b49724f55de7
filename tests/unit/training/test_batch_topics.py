"""What a run keeps and says of batches of one topic."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from confs import compose

from hardneg.data.same_set_batches import Order
from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.mining.topics import Topics
from hardneg.training.batch_topics import TOPICS, batch_order, tell_topics


@pytest.fixture
def clustered(monkeypatch):
    """Let topics be found at once; returns for which runs they were."""
    asked = []

    def of(self, training, cache, device):
        asked.append(training)
        return np.arange(len(training.queries)) % 3

    monkeypatch.setattr(Topics, "of", of)
    return asked


def test_a_run_that_goes_on_keeps_its_topics_and_another_runs_are_not_taken(clustered, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    training = TrainingSet(Toy(docs=120, queries=60, names=12, attributes=6).load())
    words = ("batches=topics", "+encoder@batches.encoder=static")
    batch_order(compose(*words), training, tmp_path / "old")
    own = f"ckpt_path={tmp_path}/old/checkpoints/last.ckpt"
    kept = np.load(tmp_path / "old" / TOPICS)[::-1]
    np.save(tmp_path / "old" / TOPICS, kept)
    assert (batch_order(compose(*words, own), training, tmp_path / "old").topics == kept).all() and len(clustered) == 1
    assert (batch_order(compose(*words, own), training, tmp_path / "new").topics == kept[::-1]).all()
    np.save(tmp_path / "old" / TOPICS, kept[1:])
    with pytest.raises(DataError, match="the data have changed since the run began"):
        batch_order(compose(*words, own), training, tmp_path / "old")


def test_a_run_says_which_share_of_its_batches_are_of_one_topic(caplog):
    caplog.set_level(logging.INFO)
    tell_topics(Order({"it": 60}, topics=np.repeat([0, 1], 30)), 1, 10)
    assert [record.message for record in caplog.records] == ["batches=topics: 100% of the batches are of one topic"]
    caplog.clear()
    tell_topics(Order({"it": 60}, topics=np.arange(60) // 5), 1, 10)
    assert "batches=topics: 0% of the batches are of one topic" in caplog.text
    assert "what is left of 12 topics, too small for 10 queries a step" in caplog.text
    assert "take fewer, larger ones, such as batches.clusters=2" in caplog.text
    caplog.clear()
    tell_topics(Order({"it": 60}), 1, 10)
    assert not caplog.records
