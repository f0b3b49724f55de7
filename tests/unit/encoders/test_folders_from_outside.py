"""Folders that people have: without a tokenizer, with another model's, of static embeddings, of cross-encoders."""

from __future__ import annotations

import json
import shutil

import pytest

from hardneg.data.tables import Texts
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError

NO_TEXTS = Texts.of([], [])


@pytest.fixture
def folder(bert, tmp_path):
    """A copy of the tiny BERT."""
    return shutil.copytree(bert, tmp_path / "model")


def recipe(folder):
    return Transformer(model=str(folder)).without_open()


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_without_a_tokenizer_is_refused(folder):
    """transformers makes one that knows no words; all texts would be alike."""
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ConfigError, match="has no tokenizer"):
        recipe(folder).tokenizer(NO_TEXTS)
    with pytest.raises(ConfigError, match="has no tokenizer"):
        CrossEncoder.load(str(folder), 32)


def test_another_models_tokenizer_is_refused(folder):
    """Else torch says `index out of range in self`, and a GPU less than that."""
    from transformers import BertConfig, BertModel

    tokenizer = recipe(folder).tokenizer(NO_TEXTS)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=20, max_position_embeddings=64, **sizes)).save_pretrained(folder)
    says = rf"embeddings for 20 tokens, and its tokenizer goes up to {tokenizer.get_vocab_size()}; .* of another model"
    with pytest.raises(ConfigError, match=says):
        recipe(folder).build(tokenizer)
    with pytest.raises(ConfigError, match=says):
        CrossEncoder.load(str(folder), 32)


def test_an_unknown_architecture_is_not_looked_for_on_another_machine(folder):
    tokenizer = recipe(folder).tokenizer(NO_TEXTS)
    (folder / "model.safetensors").rename(folder / "elsewhere")
    with pytest.raises(ConfigError, match="check that the folder is whole"):
        recipe(folder).build(tokenizer)
    edit(folder / "config.json", model_type="fancy9")
    with pytest.raises(ConfigError, match=r"does not recognize this architecture.*newer transformers") as refused:
        recipe(folder).build(tokenizer)
    assert "network" not in str(refused.value)


def test_a_cross_encoder_is_named_as_what_it_is(folder, caplog):
    CrossEncoder.load(str(folder), 32).save(folder)
    recipe(folder).build(recipe(folder).tokenizer(NO_TEXTS))
    assert "is a classifier or a cross-encoder (its config says BertForSequenceClassification)" in caplog.text
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(listed))  # as sentence-transformers 6 saves one
    with pytest.raises(ConfigError, match=r"is a cross-encoder.*teacher=cross_encoder"):
        Transformer(model=str(folder)).check_model()


def test_a_static_table_does_not_start_from_a_folder_of_static_embeddings(folder):
    Static(init=str(folder)).check_model()
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ConfigError, match=r"hardneg import .* init_from with encoder=static"):
        Static(init=str(folder)).check_model()
