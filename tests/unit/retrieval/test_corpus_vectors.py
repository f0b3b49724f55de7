"""Vectors of a corpus that evaluation and mining share: embedded once, and the same as embedded apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hardneg.encoders.static import StaticTower
from hardneg.mining.base import Task
from hardneg.mining.dense import Dense
from hardneg.retrieval import embed_tables, embedding_blocks
from hardneg.retrieval import model as model_module
from hardneg.retrieval import retriever as retriever_module
from hardneg.retrieval.corpus_vectors import CorpusVectors
from hardneg.retrieval.held_vectors import HeldVectors
from hardneg.retrieval.retriever import Retriever
from hardneg.system.progress import silent
from hardneg.testing.synthetic import make_model


@pytest.fixture
def embedded(monkeypatch):
    """How many documents were embedded so far."""
    counts = []
    embed = embed_tables.embed_rows

    def counting(towers, table, side, precision, rows, bar):
        if side == "document":
            counts.append(len(rows))
        return embed(towers, table, side, precision, rows, bar)

    for module in (embed_tables, model_module, retriever_module):
        monkeypatch.setattr(module, "embed_rows", counting)
    return lambda: sum(counts)


def test_a_static_tower_embeds_many_texts_at_a_time_and_the_same_as_few(toy, tmp_path, monkeypatch):
    model = make_model(toy, tmp_path)
    tower, rows = model.towers.tower("document"), np.arange(len(toy.corpus))[::-1]
    sizes, forward = [], StaticTower.forward

    def counting(self, ids, mask):
        sizes.append(len(ids))
        return forward(self, ids, mask)

    monkeypatch.setattr(StaticTower, "forward", counting)
    vectors = [embed_tables.embed_rows(model.towers, model.docs, "document", "32-true", rows, silent())]
    assert len(sizes) == 1 and tower.tokens_at_once > 10_000
    for tokens in (None, 50):
        monkeypatch.setattr(StaticTower, "tokens_at_once", tokens)
        vectors.append(embed_tables.embed_rows(model.towers, model.docs, "document", "32-true", rows, silent()))
    assert len(sizes) > 3
    assert all(torch.equal(vectors[0], other) for other in vectors[1:])


def test_evaluation_and_mining_embed_once_and_find_what_they_find_apart(toy, tmp_path, embedded, monkeypatch):
    monkeypatch.setattr(embedding_blocks, "SIZE", 50)
    model = make_model(toy, tmp_path)
    plain = Retriever(toy, model.queries, model.docs, "32-true")
    rows = np.arange(len(toy.corpus), dtype=np.int32)
    asked = toy.qrels["train"].query_rows
    none = np.full((len(asked), 1), -1, np.int32)

    def mined(model, folder):
        (tmp_path / folder).mkdir()
        task = Task(toy, rows, np.empty(0, np.int32), tmp_path / folder)
        return Dense().ready(toy, model, tmp_path).open(task)(asked, none, 10)

    apart = plain.runs(model.towers, ["dev", "test"], 7), mined(model, "apart")
    assert embedded() == 2 * len(rows)
    vectors = CorpusVectors(tmp_path / "vectors")
    model = type(model)(**{**vars(model), "shared": vectors})
    sharing = Retriever(toy, model.queries, model.docs, "32-true", None, lambda t: vectors.of(model.with_towers(t)))
    together = sharing.runs(model.towers, ["dev", "test"], 7), mined(model, "together")
    assert embedded() == 3 * len(rows)
    for split, run in apart[0].items():
        assert np.array_equal(run.ids, together[0][split].ids) and np.array_equal(run.scores, together[0][split].scores)
    assert np.array_equal(apart[1].ids, together[1].ids) and np.array_equal(apart[1].scores, together[1].scores)
    with torch.no_grad():
        next(model.towers.parameters()).add_(0.01)
    sharing.runs(model.towers, ["dev"], 7)
    assert embedded() == 4 * len(rows) and len(list((tmp_path / "vectors").iterdir())) == 1, "other weights, others"
    vectors.remove()
    assert not (tmp_path / "vectors").exists()


def test_the_latest_weights_and_those_that_were_kept_embed_the_corpus_once(toy, tmp_path, embedded):
    model = make_model(toy, tmp_path)
    plain, whole = Retriever(toy, model.queries, model.docs, "32-true"), len(toy.corpus)
    retriever = replace(plain, held=HeldVectors())
    tower, found = model.towers.tower("document"), []

    def asked(split):
        return retriever.runs(model.towers, [split], 7)[split]

    found.append(asked("dev"))
    retriever.nested(model.towers, ["test"], 7)
    assert embedded() == whole
    retriever.keep_vectors()
    best = [weight.detach().clone() for weight in tower.parameters()]
    for times in (2, 3):
        with torch.no_grad():
            next(tower.parameters()).add_(0.1 * torch.randn(next(tower.parameters()).shape))
        found.append(asked("dev"))
        assert embedded() == times * whole and not np.array_equal(found[-1].scores, found[-2].scores)
    with torch.no_grad():
        for weight, kept in zip(tower.parameters(), best, strict=True):
            weight.copy_(kept)
    again = asked("test"), asked("dev")
    assert embedded() == 3 * whole
    retriever.runs(model.towers, ["dev"], 7, np.arange(9, dtype=np.int32))
    assert embedded() == 3 * whole + 9, "some of the documents are embedded, not looked up"
    expected = plain.runs(model.towers, ["test", "dev"], 7)
    for run, split in zip(again, ("test", "dev"), strict=True):
        assert np.array_equal(run.ids, expected[split].ids) and np.array_equal(run.scores, expected[split].scores)
    assert np.array_equal(again[1].scores, found[0].scores)
