"""Folders that people have: without a tokenizer, with another model's, of static embeddings, of cross-encoders."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace

import pytest
import torch

from hardneg.data.tables import Texts
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.static import Static
from hardneg.encoders.text_model import set_dropout
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


def test_a_tokenizer_that_was_written_without_words_is_refused(folder):
    """transformers 5 ignores `vocab_file`, and saves what it made beside the right vocab.txt."""
    from transformers import BertTokenizer

    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nword\n")
    BertTokenizer(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    for load in (lambda: recipe(folder).tokenizer(NO_TEXTS), lambda: CrossEncoder.load(str(folder), 32)):
        with pytest.raises(ConfigError, match=r"tokenizer\.json knows no words.*BertTokenizer\(vocab="):
            load()


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


@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is not None, reason="flash-attn is installed")
def test_a_kernel_that_is_not_installed_is_refused_for_training_and_replaced_for_a_checkpoint(folder, caplog):
    """A run of a GPU may be evaluated on a laptop: the kernel affects no more than rounding."""
    told = replace(recipe(folder), attention="flash_attention_2")
    tokenizer = told.tokenizer(NO_TEXTS)
    with pytest.raises(ConfigError, match=r"needs a package: .*FlashAttention2.*; with encoder\.attention=auto"):
        told.build(tokenizer)
    written = recipe(folder).architecture(recipe(folder).build(tokenizer))
    told.rebuild(written)
    assert "encoder.attention=flash_attention_2 is not available here, so auto is used" in caplog.text


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


@pytest.mark.parametrize("name", ["T5", "MT5", "UMT5"])
def test_of_t5_and_its_kin_the_encoder_is_taken(name, folder, tmp_path):
    """GTR and Sentence-T5: `AutoModel` would also make a decoder, random, that wants texts of its own."""
    transformers = pytest.importorskip("transformers")
    told = recipe(folder)
    tokenizer = told.tokenizer(NO_TEXTS)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "dropout_rate": 0.2}
    config = getattr(transformers, f"{name}Config")(vocab_size=tokenizer.get_vocab_size(), **sizes)
    getattr(transformers, f"{name}EncoderModel")(config).save_pretrained(folder)
    tower = replace(told, dropout=0.0).build(tokenizer).eval()
    assert tower.model.config.dropout_rate == 0.0
    inputs = torch.tensor([[4, 5, 6, 3], [7, 3, 0, 0]])
    mask = inputs != 0
    theirs = getattr(transformers, f"{name}EncoderModel").from_pretrained(folder).eval()
    with torch.no_grad():
        states = theirs(input_ids=inputs, attention_mask=mask.long()).last_hidden_state
        mean = torch.stack([rows[kept].mean(0) for rows, kept in zip(states, mask, strict=True)])
        expected = torch.nn.functional.normalize(mean, dim=1)
        torch.testing.assert_close(tower(inputs, mask), expected, rtol=0, atol=1e-5)
        again = told.rebuild(told.architecture(tower)).eval()
        again.load_state_dict(tower.state_dict())
        torch.testing.assert_close(again(inputs, mask), expected, rtol=0, atol=1e-5)


def test_a_model_that_cannot_compute_its_layers_anew_is_refused(folder):
    """Such as all-mpnet-base-v2."""
    transformers = pytest.importorskip("transformers")
    told = replace(recipe(folder), gradient_checkpointing=True)
    tokenizer = told.tokenizer(NO_TEXTS)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.MPNetConfig(vocab_size=tokenizer.get_vocab_size(), **sizes)
    transformers.MPNetModel(config).save_pretrained(folder)
    with pytest.raises(ConfigError, match=r"has none for a MPNetModel; set it to false, and encoder\.grad_cache=true"):
        told.build(tokenizer)


def test_every_dropout_that_a_config_names_is_set(caplog):
    transformers = pytest.importorskip("transformers")
    for kind, keys in (("DistilBert", ["dropout", "attention_dropout"]), ("GPT2", ["resid_pdrop", "attn_pdrop"])):
        config = getattr(transformers, f"{kind}Config")()
        set_dropout(config, 0.4)
        assert [getattr(config, key) for key in keys] == [0.4, 0.4]
    assert not caplog.text
    set_dropout(transformers.PretrainedConfig(), 0.4)
    assert "encoder.dropout=0.4 changes nothing" in caplog.text


def test_a_static_table_does_not_start_from_a_folder_of_static_embeddings(folder):
    Static(init=str(folder)).check_model()
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ConfigError, match=r"hardneg import .* init_from with encoder=static"):
        Static(init=str(folder)).check_model()


def test_a_tokenizer_that_cuts_texts_at_their_beginning_is_said_to(folder, caplog):
    recipe(folder).tokenizer(NO_TEXTS)
    assert not caplog.text
    edit(folder / "tokenizer_config.json", truncation_side="left")
    recipe(folder).tokenizer(NO_TEXTS)
    assert "cuts long texts at their beginning" in caplog.text
