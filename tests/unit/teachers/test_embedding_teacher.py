"""A teacher's vectors: those that its towers make, made once, and read in any order by any process."""

from __future__ import annotations

import pickle
import resource

import numpy as np
import pytest
import torch

from hardneg.data.dataset import Collate, Drawn
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.retrieval import embedding_blocks
from hardneg.retrieval.embed_tables import embed_table
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks
from hardneg.teachers.embedding import EmbeddingTeacher
from hardneg.teachers.encoder_choice import EncoderChoice
from hardneg.teachers.stored_vectors import StoredVectors
from hardneg.testing.synthetic import make_model

TEACHER = EmbeddingTeacher(encoder=Static(dim=8, vocab_size=300), precision="32-true")


def test_vectors_are_those_of_the_teachers_towers_and_are_made_once(toy, tmp_path, counted):
    training = TrainingSet(toy)
    vectors = TEACHER.vectors(training, "all", tmp_path, "cpu")
    model = EncoderChoice(None, TEACHER.encoder, TEACHER.precision, who="a test").model(toy, tmp_path, "cpu")
    q = embed_table(model.towers, model.queries, QUERY, "32-true", "q").numpy()
    d = embed_table(model.towers, model.docs, DOCUMENT, "32-true", "d").numpy()
    rows = training.queries[[3, 0, 3]]
    docs = np.array([[5, -1], [119, 5], [0, 7]])
    np.testing.assert_allclose(vectors.of_queries(rows), q[rows], atol=1e-6)
    found = vectors.of_documents(docs, positives=1)
    assert found.shape == (3, 2, 8) and np.isnan(found[0, 1]).all()
    np.testing.assert_allclose(found[docs >= 0], d[docs[docs >= 0]], atol=1e-6)
    assert sum(counted) == len(training.queries) + len(toy.corpus)
    again = TEACHER.vectors(training, "all", tmp_path, "cpu")
    assert sum(counted) == len(training.queries) + len(toy.corpus), "embedded a second time"
    sent = pickle.loads(pickle.dumps(vectors))
    for other in (again, sent):
        np.testing.assert_array_equal(other.of_documents(docs, 1), found)


def test_of_the_positives_alone_no_other_document_is_embedded(toy, tmp_path, counted):
    training = TrainingSet(toy)
    vectors = TEACHER.vectors(training, "positives", tmp_path, "cpu")
    positives = np.unique(training.positives.values)
    assert sum(counted) == len(training.queries) + len(positives) < len(training.queries) + len(toy.corpus)
    other = np.setdiff1d(np.arange(len(toy.corpus)), positives)[0]
    found = vectors.of_documents(np.array([[positives[0], other], [other, other]]), positives=1)
    assert found.shape == (2, 1, 8) and np.isfinite(found[0]).all() and np.isnan(found[1]).all()
    assert TEACHER.vectors(training, "none", tmp_path, "cpu").of_documents(np.array([[0]]), 1) is None


def test_more_files_than_a_process_may_open_are_read_too(tmp_path, monkeypatch):
    """A block is a file, and nine million documents are more of them than the 1,024 that most systems allow."""
    monkeypatch.setattr(embedding_blocks, "SIZE", 4)
    paths = [tmp_path / f"{number}.npy" for number in range(300)]
    for number, path in enumerate(paths):
        np.save(path, np.full((4, 2), number, np.float32))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    vectors = StoredVectors(EmbeddingBlocks(paths, np.arange(1200), 2), None, "none")
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        found = [vectors.of_queries(np.arange(1200)) for _ in range(2)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for one in found:
        np.testing.assert_array_equal(one[:, 0], np.arange(1200) // 4)
    assert len(vectors._opened) == 50, "the first ones stay open"


def test_a_batch_brings_them(toy, tmp_path):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    vectors = TEACHER.vectors(training, "positives", tmp_path, "cpu")
    collate = Collate(model.queries, model.docs, training, has_teacher=False, vectors=vectors)
    query = int(training.queries[0])
    docs = np.array([[training.positives[query][0], 3]])
    drawn = Drawn(np.array([query]), docs, np.array([[0, 1]]), np.full((1, 2), np.nan, np.float32), 1, {})
    batch = collate(drawn).to("cpu")
    assert batch.teacher_queries.shape == (1, 8) and batch.teacher_docs.shape == (1, 1, 8)
    torch.testing.assert_close(batch.teacher_queries, torch.from_numpy(vectors.of_queries(np.array([query]))))


def test_a_checkpoint_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no such file"):
        EmbeddingTeacher(ckpt_path="nowhere.ckpt")
    assert not EmbeddingTeacher().chosen
