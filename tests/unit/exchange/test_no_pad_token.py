"""A model whose tokenizer has no token to pad with, as GPT-2, is exported with one that it has."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side, Tokeniser
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer
from hardneg.exchange.read import read
from hardneg.exchange.write import write

WORDS = ["!", "quick", "brown", "fox", "<|endoftext|>"]
TEXTS = ["quick brown fox quick brown", "fox", "! fox !"]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("gpt2")
    words = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="fox"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|endoftext|>").save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=5, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=4, eos_token_id=4)
    GPT2Model(config).save_pretrained(folder)
    return folder


def embed(trained):
    tokens = Tokeniser(trained.tokenizer, trained.recipe.document).table(TEXTS).batch(np.arange(len(TEXTS)))
    with torch.no_grad():
        return trained.towers(tokens, "document")


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_export_gives_our_vectors_there_and_back(pooling, gpt2, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    side = Side("", 8)
    recipe = Transformer(model=str(gpt2), pooling=pooling, dense=(), normalize=True, query=side, document=side)
    recipe = recipe.resolved()
    tokenizer = recipe.tokenizer(Texts.of([], []))
    trained = Trained(recipe, tokenizer, Towers(recipe, recipe.build(tokenizer)).eval())
    write(trained, tmp_path)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["pad_token"] == "<|endoftext|>"
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu").encode_document(TEXTS)
    torch.testing.assert_close(torch.from_numpy(theirs), embed(trained), rtol=0, atol=1e-5)
    torch.testing.assert_close(embed(read(tmp_path)), embed(trained), rtol=0, atol=1e-6)
