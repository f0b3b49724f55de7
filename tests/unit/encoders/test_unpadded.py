"""Texts in one row, without padding: the vectors and gradients that they have with it, in every kind of model."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    Gemma2Config,
    Gemma2Model,
    GemmaConfig,
    GemmaModel,
    ModernBertConfig,
    ModernBertModel,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
)

from hardneg.encoders import unpadded
from hardneg.encoders.decoder import mark_both_ways
from hardneg.encoders.encode import encode
from hardneg.encoders.towers import QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.encoders.unpadded import NAME, attend_unpadded, run_unpadded
from hardneg.errors import ConfigError

LENGTHS = torch.tensor([3, 11, 1, 7])
BASE = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
GROUPED = {"num_key_value_heads": 1, "head_dim": 8}
LOCAL = {"local_attention": 4, "global_attn_every_n_layers": 2, "pad_token_id": 0}
KINDS = {
    "bert": lambda: BertModel(BertConfig(**BASE, max_position_embeddings=16)),
    "roberta": lambda: RobertaModel(RobertaConfig(**BASE, max_position_embeddings=16, pad_token_id=1)),
    "modernbert": lambda: ModernBertModel(ModernBertConfig(**BASE, **LOCAL)),
    "qwen3": lambda: Qwen3Model(Qwen3Config(**BASE, **GROUPED)),
    "qwen3, a window": lambda: Qwen3Model(
        Qwen3Config(**BASE, **GROUPED, use_sliding_window=True, sliding_window=3, max_window_layers=0)
    ),
    "gemma, both ways": lambda: both_ways(GemmaModel(GemmaConfig(**BASE, **GROUPED))),
}


def both_ways(model):
    mark_both_ways(model)
    return model


def kind(name):
    torch.manual_seed(0)
    return KINDS[name]().eval()


def texts(padding):
    real = torch.arange(11) < LENGTHS[:, None]
    ids = torch.randint(3, 40, real.shape, generator=torch.Generator().manual_seed(0))
    return torch.where(real, ids, padding or 0), real


def gradients(model, hidden, real):
    """The hidden states, and the gradient of all weights for a sum that no two tokens have the same share of."""
    model.zero_grad()
    (hidden * real[..., None] * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum().backward()
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return hidden.detach()[real], torch.cat(grads)


def both(name):
    """What a model gives with transformers' own SDPA over padded texts, and without padding."""
    model = kind(name)
    ids, real = texts(model.config.pad_token_id)
    model.set_attn_implementation("sdpa")
    padded = gradients(model, model(input_ids=ids, attention_mask=real).last_hidden_state, real)
    first = attend_unpadded(model)
    return padded, gradients(model, run_unpadded(model, ids, LENGTHS, first), real)


@pytest.mark.parametrize("name", KINDS)
def test_hidden_states_and_gradients_are_those_of_padded_texts(name):
    for expected, found in zip(*both(name), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


def kernel(q, k, v, starts, starts_k, most, most_k, *, scale, window_size, enable_gqa):
    """What torch documents of `varlen_attn`, text by text and written out."""
    assert starts.dtype == torch.int32 and torch.equal(starts, starts_k) and most == most_k == int(starts.diff().max())
    assert enable_gqa == (q.shape[1] != k.shape[1])
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    found = []
    for one, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        at = torch.arange(end - one)
        ahead = at - at[:, None]
        far = torch.zeros_like(ahead, dtype=torch.bool)
        far |= (ahead < -window_size[0]) & (window_size[0] >= 0)
        far |= (ahead > window_size[1]) & (window_size[1] >= 0)
        scores = torch.einsum("ihd,jhd->hij", q[one:end], k[one:end]) * scale
        found.append(torch.einsum("hij,jhd->ihd", scores.masked_fill(far, -torch.inf).softmax(-1), v[one:end]))
    return torch.cat(found)


@pytest.mark.parametrize("name", KINDS)
def test_the_kernel_is_asked_for_the_same(name, monkeypatch):
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="torch has the kernel from 2.10 on")
    asked = []
    monkeypatch.setattr(unpadded, "_kernel_takes", lambda q, dropout: asked.append(dropout) is None)
    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    for expected, found in zip(*both(name), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)
    assert len(asked) == 4, "two layers, tried out and run"


def test_nothing_is_computed_for_padding():
    model, seen = kind("bert"), []
    first = attend_unpadded(model)
    model.encoder.layer[0].intermediate.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    run_unpadded(model, texts(None)[0], LENGTHS, first)
    assert seen == [(1, int(LENGTHS.sum()), 16)]


def test_a_model_whose_attention_is_its_own_is_refused():
    torch.manual_seed(0)
    deberta = DebertaV2Model(DebertaV2Config(**BASE, relative_attention=True, pos_att_type=["p2c", "c2p"]))
    with pytest.raises(ConfigError, match=r"a DebertaV2Model cannot be computed without padding.*encoder.unpad=false"):
        attend_unpadded(deberta)


def test_a_model_that_caps_its_attention_is_refused():
    gemma = Gemma2Model(Gemma2Config(**BASE, **GROUPED))
    with pytest.raises(ConfigError, match=r"a Gemma2Model cannot be computed without padding.*encoder.unpad=false"):
        attend_unpadded(gemma)


def test_a_model_that_would_give_other_vectors_is_refused(monkeypatch):
    monkeypatch.setattr(unpadded, "_allowed", lambda layout, window: None)  # as if texts saw their padding
    with pytest.raises(ConfigError, match="its vectors would be others"):
        attend_unpadded(kind("bert"))


@pytest.mark.parametrize("settings", [{}, {"gradient_checkpointing": True}, {"grad_cache": True, "tokens": 64}])
def test_a_tower_trains_as_with_padding(settings, bert, toy, tokens_of):
    found = {}
    for unpad in (False, True):
        recipe = Transformer(model=str(bert), dropout=0.0, layers=1, unpad=unpad, **settings)
        tokenizer = recipe.tokenizer(toy.corpus)
        towers = Towers(recipe.resolved(), recipe.build(tokenizer))
        tokens = tokens_of(recipe, [*toy.corpus.texts.to_pylist()[:4], *toy.queries.texts.to_pylist()[:4]], tokenizer)
        vectors = towers(tokens, QUERY)
        (vectors * torch.linspace(-1, 1, vectors.numel()).view_as(vectors)).sum().backward()
        alone = towers.tower(QUERY)(tokens.input_ids, tokens.attention_mask)  # as evaluation and mining call it
        torch.testing.assert_close(alone, vectors, atol=1e-5, rtol=1e-4)
        found[unpad] = vectors.detach(), [p.grad for p in towers.parameters()]
        if unpad:
            assert towers.tower(QUERY).model.config._attn_implementation == NAME
            assert recipe.embedding_settings()["unpad"] is True
    torch.testing.assert_close(found[True][0], found[False][0], atol=1e-5, rtol=1e-4)
    for one, other in zip(found[True][1], found[False][1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_dropout_of_attention_is_done():
    model = kind("bert")
    first = attend_unpadded(model)
    model.train()
    torch.manual_seed(0)
    ids, real = texts(None)
    one, other = (run_unpadded(model, ids, LENGTHS, first)[real] for _ in range(2))
    assert not torch.equal(one, other)
    assert F.cosine_similarity(one, other, dim=1).mean() > 0.5


def test_an_attention_of_choice_is_refused():
    with pytest.raises(ConfigError, match=r"set encoder\.attention=auto, not sdpa"):
        Transformer(model="minilm", unpad=True, attention="sdpa")


def test_encode_hands_lengths_only_to_what_takes_them(bert, toy, tokens_of):
    recipe = Transformer(model=str(bert), layers=1)
    tower = recipe.build(recipe.tokenizer(toy.corpus))
    assert not tower.takes_lengths and len(encode(tower, tokens_of(recipe, ["a", "b"]), None)) == 2
