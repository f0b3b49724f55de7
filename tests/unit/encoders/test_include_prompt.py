"""Prompts that are read but not pooled: whose tokens they are, and what is averaged then."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side, Tokeniser, TokenTable
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.dense_layers import DenseSpec, in_a_row
from hardneg.encoders.latent_attention import Latents
from hardneg.encoders.static import Static
from hardneg.encoders.towers import QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError, UserError
from hardneg.exchange.onnx import write_formats
from hardneg.testing.synthetic import make_data, make_texts

PROMPT = "fifa delo "  # two words


@pytest.fixture(scope="module")
def made(bert, toy, tmp_path_factory):
    """A tower that leaves prompts out, the same weights where it does not, and the tokens of four texts."""
    side = Side(PROMPT, 12)
    recipe = Transformer(model=str(bert), query=side, document=side, dense=None, include_prompt=False).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    texts = Texts.of(list("abcd"), toy.corpus.texts.to_pylist()[:4])
    table = TokenTable.build(texts, tokenizer, side, tmp_path_factory.mktemp("cache"), "queries")
    return recipe, tokenizer, Towers(recipe, recipe.build(tokenizer)).eval(), table


@torch.no_grad()
def test_what_is_averaged_is_what_comes_after_the_prompt(made):
    recipe, _, towers, table = made
    tokens = table.batch(np.arange(4))
    assert tokens.prompt.tolist() == [3] * 4  # [CLS] and two words
    hidden = towers.tower(QUERY).model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)[0]
    expected = torch.stack([row[3:n].mean(dim=0) for row, n in zip(hidden, tokens.lengths.tolist(), strict=True)])
    torch.testing.assert_close(towers(tokens, QUERY), F.normalize(expected, dim=-1))
    whole = Towers(dataclasses.replace(recipe, include_prompt=True), towers.tower(QUERY))
    whole.tower(QUERY).include_prompt = True
    plain = torch.stack([row[:n].mean(dim=0) for row, n in zip(hidden, tokens.lengths.tolist(), strict=True)])
    torch.testing.assert_close(whole(tokens, QUERY), F.normalize(plain, dim=-1))
    whole.tower(QUERY).include_prompt = False


@torch.no_grad()
def test_parts_and_both_sides_together_are_as_alone(made):
    _, _, towers, table = made
    q, d = table.batch(np.array([2, 0])), dataclasses.replace(table.batch(np.array([1, -1, 3])), prompt=None)
    together = towers.both(q, d)
    for one, other in zip(together, (towers(q, QUERY), towers(d, QUERY)), strict=True):
        torch.testing.assert_close(one, other)
    parted = [towers(q.part(torch.tensor([row])), QUERY) for row in (0, 1)]
    torch.testing.assert_close(torch.cat(parted), towers(q, QUERY))


def test_each_set_has_its_own_prompt_and_one_token_is_always_pooled(made, tmp_path):
    _, tokenizer, _, _ = made
    texts = make_texts(["fifa", "delo", "fifa delo", ""], "q")
    table = TokenTable.build(
        texts, tokenizer, Side("", 3), tmp_path, "queries", [(range(1, 3), PROMPT), (range(3, 4), "fifa ")]
    )
    tokens = table.batch(np.array([0, 1, 2, 3, -1]))
    assert tokens.lengths.tolist() == [3, 3, 3, 3, 1]
    assert tokens.prompt.tolist() == [0, 2, 2, 2, 0]  # cut at three tokens: the last of them is left
    assert TokenTable.build(texts, tokenizer, Side("", 3), tmp_path, "queries").batch(np.arange(2)).prompt is None
    assert Tokeniser(tokenizer, Side(PROMPT, 9)).table(["fifa"]).batch(np.arange(1)).prompt.tolist() == [3]


@torch.no_grad()
def test_latent_attention_averages_what_comes_after_the_prompt(bert, toy, made):
    _, tokenizer, _, table = made
    latents = Latents(count=4, heads=2, expansion=1)
    recipe = Transformer(model=str(bert), pooling="latent_attention", latents=latents, include_prompt=False, dense=None)
    tower = recipe.without_open().build(tokenizer).eval()
    tokens = table.batch(np.arange(4))
    hidden = tower.model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)[0]
    alone = tower.pool(hidden[:, 3:], tokens.attention_mask[:, 3:])
    torch.testing.assert_close(tower(*tower.read(tokens).inputs), F.normalize(alone, dim=-1))


def test_a_last_token_and_other_towers_are_as_they_were_and_cls_is_the_first_after_the_prompt(bert, made):
    _, tokenizer, _, table = made
    tokens = table.batch(np.arange(2))
    build = {
        pooling: Transformer(model=str(bert), pooling=pooling, include_prompt=False, dense=None).without_open().build
        for pooling in ("last", "cls")
    }
    assert build["last"](tokenizer).read(tokens).prompt is None
    assert build["cls"](tokenizer).read(tokens).prompt.tolist() == [3, 3]
    recipe = Static(dim=4, vocab_size=100)
    data = make_data([(0, 0)])
    tower = recipe.build(recipe.tokenizer(data.corpus))
    assert tower.read(tokens).prompt is None


def test_a_head_is_described_by_its_width_alone():
    short, whole = (
        DenseSpec.of({"out_features": 5, "activation": "Identity"}),
        DenseSpec(in_features=16, out_features=5),
    )
    assert short.fits(DenseSpec(in_features=16, out_features=5, activation="Identity")) and not short.fits(whole)
    layers = in_a_row([short, DenseSpec(out_features=3)], 16)
    assert [tuple(one.linear.weight.shape) for one in layers] == [(5, 16), (3, 5)]
    for wrong, said in (({"width": 5}, "a layer is"), ({"out_features": 0}, "at least 1")):
        with pytest.raises(ConfigError, match=said):
            Transformer(model="any", dense=[wrong])


def test_no_file_of_onnx_and_no_other_word(made, tmp_path):
    recipe, tokenizer, towers, _ = made
    with pytest.raises(UserError, match="include_prompt=false"):
        write_formats(Trained(recipe, tokenizer, towers), tmp_path, {"onnx": "--onnx"})
    with pytest.raises(ConfigError, match=r"encoder\.include_prompt must be true, false or auto"):
        Transformer(model="any", include_prompt="no")
