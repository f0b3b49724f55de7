"""Mining with the model that made an index embeds only what the index lacks, and finds the same."""

from __future__ import annotations

from dataclasses import replace

import newcomers
import numpy as np
import pytest
import torch
from worlds import built, corpus, encoder

from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.towers import Towers
from hardneg.errors import ConfigError
from hardneg.mining.base import Task
from hardneg.mining.dense import Dense
from hardneg.retrieval import model as model_module
from hardneg.retrieval.model import Model
from hardneg.serving.from_index import IndexVectors
from hardneg.serving.text_encoder import TextEncoder

ROWS = np.arange(100, dtype=np.int32)


@pytest.fixture
def embedded(monkeypatch):
    """The rows of documents that were embedded, block by block."""
    documents, embed = [], model_module.embed_rows

    def noting(towers, table, side, precision, rows, bar):
        documents.extend(rows.tolist() if side == "document" else [])
        return embed(towers, table, side, precision, rows, bar)

    monkeypatch.setattr(model_module, "embed_rows", noting)
    return documents


def model_of(made, data, cache, precision="32-true"):
    one = made.trained
    return Model.over(data, one.towers, one.recipe, one.tokenizer, precision, cache)


def mined(model, data, work):
    work.mkdir()
    task = Task(data, ROWS, np.arange(100, 110, dtype=np.int32), work)
    return Dense()._with(model).open(task)(np.arange(8, dtype=np.int32), np.full((8, 1), 105, np.int32), 20)


def test_what_the_index_holds_is_read_the_rest_is_embedded_and_the_lists_are_the_same(toy, tmp_path, embedded):
    made = encoder(toy)
    built(tmp_path / "i", corpus(toy, keep=lambda row: row % 3), made)
    model = model_of(made, toy, tmp_path)
    plain = mined(model, toy, tmp_path / "plain")
    assert sorted(embedded) == list(range(110))
    embedded.clear()
    read = mined(replace(model, embedded=IndexVectors(tmp_path / "i", toy)), toy, tmp_path / "read")
    assert sorted(embedded) == [row for row in range(110) if row % 3 == 0]
    np.testing.assert_array_equal(plain.ids, read.ids)
    np.testing.assert_allclose(plain.scores, read.scores, atol=1e-5)
    np.testing.assert_allclose(plain.positives, read.positives, atol=1e-5)


@pytest.mark.parametrize("other", ["weights", "prompt", "precision", "text"])
def test_vectors_of_another_model_precision_or_text_are_not_taken(toy, tmp_path, embedded, other):
    made = encoder(toy)
    data = corpus(toy, change=lambda row, text: f"{text} too") if other == "text" else toy
    built(tmp_path / "i", data, made)
    model = model_of(made, toy, tmp_path, "bf16-mixed" if other == "precision" else "32-true")
    if other == "weights":
        with torch.no_grad():
            next(model.towers.parameters())[7] += 0.1
    if other == "prompt":
        document = replace(model.recipe.document, prompt="passage: ")
        model = replace(model, recipe=replace(model.recipe, document=document))
    mined(replace(model, embedded=IndexVectors(tmp_path / "i", toy)), toy, tmp_path / "work")
    assert sorted(embedded) == list(range(110))


def test_vectors_of_another_version_of_own_code_are_not_taken(toy, tmp_path, embedded, caplog):
    """Weights and settings are the same; what `forward` makes of them is not."""
    caplog.set_level("INFO")
    recipe = newcomers.GoodEncoder()
    tokenizer = recipe.tokenizer(toy.corpus)
    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    made = TextEncoder(Trained(recipe, tokenizer, towers), "cpu", "32-true")
    built(tmp_path / "i", toy, made)
    model = model_of(made, toy, tmp_path)
    mined(replace(model, embedded=IndexVectors(tmp_path / "i", toy)), toy, tmp_path / "same")
    assert len(embedded) == 8, "only the few that are compared"
    embedded.clear()
    tower = towers.tower("document")
    tower.forward = lambda input_ids, attention_mask: newcomers.MeanOfBytes.forward(
        tower, input_ids, attention_mask
    ).roll(1, 1)
    mined(replace(model, embedded=IndexVectors(tmp_path / "i", toy)), toy, tmp_path / "other")
    assert set(range(110)) <= set(embedded), "all that are asked for, beside the few that were compared"
    assert "has other vectors than the encoder's code makes now: documents are embedded" in caplog.text


def test_a_folder_without_an_index_and_a_mix_of_sets_are_refused(toy, tmp_path):
    with pytest.raises(ConfigError, match="holds no complete index"):
        IndexVectors(tmp_path, toy)
    with pytest.raises(ConfigError, match="an index is of one data set"):
        IndexVectors(tmp_path, replace(toy, mixed=toy.parts * 2))
