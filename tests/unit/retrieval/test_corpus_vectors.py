"""Vectors of a corpus that evaluation and mining share: embedded once, and the same as embedded apart."""

from __future__ import annotations

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


def test_what_is_asked_of_the_same_weights_in_one_block_is_embedded_once(toy, tmp_path, embedded):
    model = make_model(toy, tmp_path)
    retriever = Retriever(toy, model.queries, model.docs, "32-true")
    with retriever.same_weights():
        one = retriever.runs(model.towers, ["dev"], 7)["dev"]
        retriever.nested(model.towers, ["test"], 7)
    assert embedded() == len(toy.corpus)
    assert np.array_equal(retriever.runs(model.towers, ["dev"], 7)["dev"].ids, one.ids)
    assert embedded() == 2 * len(toy.corpus)
