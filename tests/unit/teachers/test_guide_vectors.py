"""A guide's vectors: its towers' own, made once, of no more documents than can be candidates, on any device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.filters.duplicates import Duplicates
from hardneg.filters.guide import Guide
from hardneg.preflight.filters import check_filters
from hardneg.retrieval.embed_tables import embed_table
from hardneg.teachers import guide_vectors
from hardneg.teachers.guide_vectors import LookedUp, guide
from hardneg.testing.synthetic import make_model

ENCODER = Static(dim=8, vocab_size=300)  # its own tokenizer and width, whatever is trained


def test_it_embeds_once_and_only_what_may_be_a_candidate(toy, tmp_path, counted):
    training = TrainingSet(toy)
    positives = np.unique(training.positives.values)
    rules = {"duplicates": Duplicates(), "guide": Guide(encoder=ENCODER, precision="32-true")}
    guide(rules, training, "positives", tmp_path, "cpu")
    assert sum(counted) == len(training.queries) + len(positives) < len(training.queries) + len(toy.corpus)
    guide(rules, training, "positives", tmp_path, "cpu")
    assert sum(counted) == len(training.queries) + len(positives), "embedded a second time"
    assert {"weights", "recipe", "tokens", "precision", "tower"} == rules["guide"].identity()["guide"].keys()


def looked_up(toy, tmp_path):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    found = LookedUp.of(model, training, "all", tmp_path)
    q = embed_table(model.towers, model.queries, QUERY, "32-true", "q")
    d = embed_table(model.towers, model.docs, DOCUMENT, "32-true", "d")
    return training, found, q, d


def test_vectors_are_those_of_its_towers_in_the_shape_of_the_rows(toy, tmp_path):
    training, found, q, d = looked_up(toy, tmp_path)
    rows = torch.from_numpy(training.queries[[3, 0, 3]]).long()
    torch.testing.assert_close(found.queries(rows), q[rows])
    docs = torch.tensor([[5, -1], [119, 5]])
    vectors = found.documents(docs)
    assert vectors.shape == (2, 2, d.shape[1]) and vectors[0, 1].isnan().all()
    torch.testing.assert_close(vectors[docs >= 0], d[docs[docs >= 0]])


def test_a_copy_on_another_device_holds_the_same(toy, tmp_path):
    """The copy is made here without such a device: what is looked up in it is what is read from the disk."""
    _, found, *_ = looked_up(toy, tmp_path)
    for blocks in (found.stored.queries, found.stored.docs):
        vectors, places = guide_vectors._copied(blocks, torch.device("cpu"))
        rows = torch.tensor([-1, *range(len(places) + 3)])
        copied = vectors[places[rows.clamp(-1, len(places) - 1)]]
        read = torch.from_numpy(found.stored.read(blocks, rows.numpy()))
        torch.testing.assert_close(copied, read, equal_nan=True)
        assert read.isnan().any()


def test_a_guide_that_is_nobody_or_not_there_is_refused():
    for rule, said in (
        (Guide(), r"filter.guide has no guide: give a checkpoint.*\+encoder@filter.guide.encoder=minilm"),
        (Guide(ckpt_path="nowhere.ckpt"), "filter.guide: ckpt_path=nowhere.ckpt: there is no such file"),
        (Guide(ckpt_path="x", encoder=ENCODER), "a guide takes either ckpt_path or encoder"),
        (Guide(encoder=ENCODER, sources=["bm25"]), r"filter.guide.sources names bm25, none of"),
    ):
        with pytest.raises(ConfigError, match=said):
            check_filters({"guide": rule}, {"in_batch": None})
