"""Teachers against the plain library calls that they stand for, and their scores on the way into a batch."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from one_row import one_row

from hardneg.data.dataset import TrainingRows
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.errors import ConfigError
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.bm25 import BM25
from hardneg.negatives.base import Setting
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.stored import Stored
from hardneg.teachers.bi_encoder import BiEncoderTeacher
from hardneg.teachers.cross_encoder import CrossEncoderTeacher
from hardneg.testing.synthetic import make_training

PAIRS = np.array([[3, 7, -1], [1, -1, -1]], np.int32)


@pytest.fixture(scope="module")
def classifier(bert, tmp_path_factory):
    """A random cross-encoder in a folder of its own, with one label."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("classifier")
    CrossEncoder.load(str(bert), 64).save(folder)
    return folder


def test_scores_are_those_of_the_model_pair_by_pair(toy, classifier, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    teacher = CrossEncoderTeacher(str(classifier), max_length=32, precision="32-true")
    teacher.prepare(toy, tmp_path)
    found = teacher.score(np.array([5, 2], np.int32), PAIRS)
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    for row, query in enumerate((5, 2)):
        for column, doc in enumerate(PAIRS[row]):
            if doc < 0:
                assert np.isnan(found[row, column])
                continue
            pair = tokenizer(
                toy.queries[query], toy.corpus[int(doc)], truncation=True, max_length=32, return_tensors="pt"
            )
            with torch.no_grad():
                expected = model(**pair).logits[0, 0].item()
            assert found[row, column] == pytest.approx(expected, abs=1e-5)


def test_two_labels_score_by_their_difference(toy, bert, tmp_path):
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    config = AutoConfig.from_pretrained(bert, num_labels=2)
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    network = CrossEncoder.load(str(tmp_path), 64).eval()
    pairs = network.tokens(["a"], ["b"])
    logits = network.model(input_ids=pairs.input_ids, attention_mask=pairs.attention_mask).logits[0]
    torch.testing.assert_close(network(*pairs.inputs)[0], logits[1] - logits[0])
    config.num_labels = 3
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="has 3"):
        CrossEncoder.load(str(tmp_path), 64)


def test_identity_names_weights_and_length(toy, classifier, bert, tmp_path):
    def identity(model, **more):
        teacher = CrossEncoderTeacher(str(model), **more)
        teacher.prepare(toy, tmp_path)
        return teacher.identity()

    assert identity(classifier) == identity(classifier) != identity(classifier, max_length=48)
    changed = CrossEncoder.load(str(bert), 64)
    changed.model.classifier.bias.data += 1
    changed.save(tmp_path / "changed")
    assert identity(tmp_path / "changed") != identity(classifier)


def test_loading_a_teacher_leaves_the_random_numbers_of_training_alone(toy, classifier, tmp_path):
    state = torch.get_rng_state()
    CrossEncoderTeacher(str(classifier)).prepare(toy, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_has_no_classifier_is_no_teacher(toy, bert, tmp_path):
    """It would get a fresh one, and teach random numbers."""
    with pytest.raises(
        ConfigError, match=r"teacher: .*not a cross-encoder \(its config says BertModel\).*train-teacher"
    ):
        CrossEncoderTeacher(str(bert))
    shutil.copytree(bert, tmp_path / "bare", dirs_exist_ok=True)
    config = json.loads((tmp_path / "bare" / "config.json").read_text())
    (tmp_path / "bare" / "config.json").write_text(json.dumps({**config, "architectures": None}))
    with pytest.raises(ConfigError, match="not a cross-encoder: it has no classifier"):
        CrossEncoderTeacher(str(tmp_path / "bare")).prepare(toy, tmp_path)


def test_a_bi_encoder_scores_by_scaled_similarity(toy, bert, tmp_path):
    from hardneg.encoders.transformer import Transformer

    teacher = BiEncoderTeacher(encoder=Transformer(model=str(bert)), precision="32-true", scale=10.0)
    teacher.prepare(toy, tmp_path)
    found = teacher.score(np.array([5, 2], np.int32), PAIRS)
    towers = teacher.model.towers.eval()
    with torch.no_grad():
        q = towers(teacher.model.queries.batch(np.array([5])), "query")
        d = towers(teacher.model.docs.batch(np.array([3, 7])), "document")
    np.testing.assert_allclose(found[0, :2], 10 * (q @ d.T)[0], rtol=1e-4)
    assert np.isnan(found[PAIRS < 0]).all()
    with pytest.raises(ConfigError, match=r"needs weights.*teacher\.ckpt_path=FILE"):
        BiEncoderTeacher()


def test_a_batch_row_holds_the_scores_of_its_positive_and_of_its_negatives(toy, classifier, tmp_path):
    training = TrainingSet(toy)
    source = Stored(2, BM25(), depth=6, teacher=CrossEncoderTeacher(str(classifier), precision="32-true"))
    source.prepare(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
    rows = TrainingRows(training, Mixture({"bm25": source}, ("positive", "bm25"), seed=1))
    for index in range(5):
        row = one_row(rows, 0, index)
        known = row.docs >= 0
        expected = source.teacher.score(np.array([row.query], np.int32), row.docs[None].astype(np.int32))[0]
        np.testing.assert_allclose(row.teacher[known], expected[known], rtol=1e-4, atol=1e-5)


def test_each_of_several_positives_brings_its_own_score(classifier, tmp_path):
    training = make_training([(0, 3), (0, 5), (1, 4)], docs=12, queries=2)
    teacher = CrossEncoderTeacher(str(classifier), precision="32-true")
    source = Stored(1, BM25(), depth=6, teacher=teacher)
    source.prepare(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
    expected = teacher.score(np.array([0, 1], np.int32), np.array([[3, 5], [4, -1]], np.int32))
    found = [[source.positive_teacher(query, which) for which in (0, 1)] for query in (0, 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
