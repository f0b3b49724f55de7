"""Topics of training queries: k-means finds what lies together, once, and numbers neighbours together."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError
from hardneg.mining import topics
from hardneg.mining.topics import Topics, along, clustered

ENCODER = Static(dim=8, vocab_size=300)


def test_what_lies_together_is_one_topic():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [10, 0], [11, 1], [0, 9]], np.float32)
    of = rng.permutation(np.repeat(np.arange(4), 15))
    vectors = (centres[of] + rng.normal(0, 0.1, (60, 2))).astype(np.float32)
    found = clustered(vectors, 4, seed=1)
    pairs = set(zip(of.tolist(), found.tolist(), strict=True))
    assert len(pairs) == 4, "each centre is one cluster"
    number = dict(pairs)
    assert abs(number[1] - number[2]) == 1, "the two that are near each other follow each other"
    np.testing.assert_array_equal(found, clustered(vectors, 4, seed=1))


def test_the_path_goes_on_to_the_nearest_that_is_left():
    assert along(np.array([[0.0], [5.0], [1.0], [-2.0]], np.float32)).tolist() == [0, 3, 1, 2]


def test_queries_are_clustered_once(toy, tmp_path, monkeypatch):
    training = TrainingSet(toy)
    asked = Topics(clusters=5, encoder=ENCODER, precision="32-true")
    found = asked.of(training, tmp_path, "cpu")
    assert found.shape == training.queries.shape and set(found.tolist()) <= set(range(5)) and len(set(found)) > 1
    monkeypatch.setattr(topics, "clustered", None)
    np.testing.assert_array_equal(asked.of(training, tmp_path, "cpu"), found)


def test_the_encoder_of_topics_computes_in_the_precision_that_is_asked_for(toy, tmp_path, monkeypatch):
    seen, blocks = [], topics.query_blocks

    def looking(model, *rest):
        seen.append(model.precision)
        return blocks(model, *rest)

    monkeypatch.setattr(topics, "query_blocks", looking)
    for precision in ("32-true", "bf16-mixed"):
        Topics(clusters=5, encoder=ENCODER, precision=precision).of(TrainingSet(toy), tmp_path, "cpu")
    assert seen == ["32-true", "bf16-mixed"]


def test_what_cannot_be_is_refused(toy, tmp_path):
    for settings, said in (
        ({}, r"batches=topics clusters.*\+encoder@batches.encoder=minilm"),
        ({"encoder": ENCODER, "clusters": 1}, "batches.clusters=1 must be 2 or more"),
        ({"ckpt_path": "nowhere.ckpt"}, "nowhere.ckpt: there is no such file"),
    ):
        with pytest.raises(ConfigError, match=said):
            Topics(**settings)
    assert Topics(clusters=None).of(TrainingSet(toy), tmp_path, "cpu") is None
    with pytest.raises(ConfigError, match=r"batches.clusters=9999 is more than the"):
        Topics(clusters=9999, encoder=ENCODER).of(TrainingSet(toy), tmp_path, "cpu")
