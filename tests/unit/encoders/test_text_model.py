"""Which dropouts of a model `encoder.dropout` sets, and what is left of one that `encoder.layers` cuts."""

from __future__ import annotations

import shutil

import pytest
import torch
from transformers import (
    BartConfig,
    BertConfig,
    Gemma3Config,
    Gemma3Model,
    GPTNeoConfig,
    Qwen3Config,
    Qwen3Model,
    T5Config,
)

from hardneg.data.tables import Texts
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.text_model import set_dropout
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.exchange.write import write


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (BertConfig, {"hidden_dropout_prob", "attention_probs_dropout_prob"}),
        (GPTNeoConfig, {"resid_dropout", "embed_dropout", "attention_dropout"}),
        (BartConfig, {"dropout", "attention_dropout", "activation_dropout"}),
        (T5Config, {"dropout_rate"}),
    ],
)
def test_every_dropout_of_units_is_set_and_no_layers_or_heads(kind, changed):
    config, before = kind(), vars(kind())
    set_dropout(config, 0.375)
    assert {key for key, value in vars(config).items() if value != before[key]} == changed
    assert all(getattr(config, key) == 0.375 for key in changed)


@pytest.fixture
def decoder(bert, tmp_path):
    """A folder with a decoder of four layers, whose config lists the kind of each."""
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 32}
    folder = shutil.copytree(bert, tmp_path / "decoder")
    config = Qwen3Config(vocab_size=2000, head_dim=8, num_hidden_layers=4, pad_token_id=0, **sizes)
    Qwen3Model(config).save_pretrained(folder)
    return str(folder)


def test_a_decoder_with_some_of_its_layers_is_rebuilt_from_its_checkpoint(decoder):
    recipe = Transformer(model=decoder, layers=2).resolved()
    tower = recipe.build(recipe.tokenizer(Texts.of([], []))).eval()
    architecture = recipe.architecture(tower)
    ids = torch.tensor([[3, 4, 5], [5, 6, 7]])
    again = recipe.rebuild(architecture).eval()
    again.load_state_dict(tower.state_dict())
    torch.testing.assert_close(again(ids, ids > 0), tower(ids, ids > 0))


def test_of_a_model_that_reads_images_too_the_text_model_is_taken(decoder, tmp_path):
    """An export of the whole could not be opened: sentence-transformers looked for a processor of images."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    text = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    text |= {"intermediate_size": 32, "head_dim": 8, "vocab_size": 2000, "pad_token_id": 0}
    image = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    image |= {"image_size": 28, "patch_size": 14}
    torch.manual_seed(0)
    whole = Gemma3Model(Gemma3Config(text_config=text, vision_config=image, mm_tokens_per_image=4)).eval()
    whole.save_pretrained(decoder)
    recipe = Transformer(model=decoder, normalize=False, dropout=0.0).resolved()
    tokenizer = recipe.tokenizer(Texts.of([], []))
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    tower = towers.tower("document")
    ids = torch.tensor([tokenizer.encode("a b c").ids])
    found = tower(ids, ids > -1)
    expected = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    found.sum().backward()
    assert all(weight.grad is not None for weight in tower.parameters())
    again = recipe.rebuild(recipe.architecture(tower))
    again.load_state_dict(tower.state_dict())
    write(Trained(recipe, tokenizer, towers), tmp_path / "out")
    there = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu").encode_document(["a b c"])
    torch.testing.assert_close(torch.from_numpy(there), expected, rtol=0, atol=1e-5)


def test_a_cross_encoder_with_some_of_its_layers_is_saved_and_read(decoder, tmp_path):
    network = CrossEncoder.load(decoder, 32, layers=2)
    network.save(tmp_path / "saved")
    assert len(CrossEncoder.load(str(tmp_path / "saved"), 32, trained=True).model.model.layers) == 2
    with pytest.raises(ConfigError, match=r"encoder.layers=5, but .* has 4"):
        CrossEncoder.load(decoder, 32, layers=5)
