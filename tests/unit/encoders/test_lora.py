"""Adapters: they and nothing else are trained, and they are all that a checkpoint holds."""

from __future__ import annotations

import pytest
import torch
from decoders import save_decoder

from hardneg.encoders import checkpoint
from hardneg.encoders.lora import LoRA
from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.testing.synthetic import make_texts

WORDS = ["a", "b", "c", "d", "e", "f", "g"]
LATENT = {"pooling": "latent_attention"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_decoder(tmp_path_factory.mktemp("decoder"), WORDS, "mistral")


@pytest.fixture
def make(folder, tokens_of):
    """Towers of a random decoder with adapters, and some tokens."""

    def build(lora=None, seed=0, **settings):
        settings = {"model": str(folder), "pooling": "last", "lora": LoRA(**{"r": 2, **(lora or {})}), **settings}
        recipe = Transformer(**settings)
        tokenizer = recipe.tokenizer(make_texts(["a"]))
        torch.manual_seed(seed)
        return Towers(recipe, recipe.build(tokenizer)), tokens_of(recipe, ["a b c d", "e f"], tokenizer)

    return build


def step(towers, tokens, sides=(QUERY,)):
    optimizer = torch.optim.SGD([p for p in towers.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):  # what goes into an adapter gets its first gradient when what comes out of it has left zero
        optimizer.zero_grad()
        sum(towers(tokens, side)[:, 0].sum() for side in sides).backward()
        optimizer.step()


def adapters(towers):
    return {name for name, _ in towers.named_parameters() if ".lora_" in name}


def test_untrained_adapters_change_nothing(make):
    towers, tokens = make()
    plain, _ = make(lora={"r": None})
    torch.testing.assert_close(towers(tokens, QUERY), plain(tokens, QUERY), rtol=0, atol=0)


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"gradient_checkpointing": True}])
def test_without_padding_adapters_are_trained_to_the_same_vectors(make, settings):
    found = []
    for unpad in (False, True):
        towers, tokens = make(unpad=unpad, **settings)
        step(towers, tokens)
        found.append(towers(tokens, QUERY))
        assert towers.tower(QUERY).takes_lengths == unpad
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("grad_cache", [False, True])
def test_adapters_and_pooling_are_trained_in_float32_and_the_base_stays(make, dtype, checkpointing, grad_cache):
    towers, tokens = make(dtype=dtype, gradient_checkpointing=checkpointing, grad_cache=grad_cache, **LATENT)
    before = {name: p.detach().clone() for name, p in towers.named_parameters()}
    step(towers, tokens)
    pooling = {name for name in before if ".pool." in name}
    trained = adapters(towers) | pooling
    assert len(pooling) == 14 and len(adapters(towers)) == 2 * 7 * 2  # q, k, v, o, gate, up, down of two layers
    for name, p in towers.named_parameters():
        assert p.requires_grad == (name in trained)
        assert p.dtype == (torch.float32 if name in trained else getattr(torch, dtype))
        assert torch.equal(p, before[name]) is (name not in trained), name


def test_recomputed_gradients_are_the_same(make):
    found = []
    for settings in ({}, {"grad_cache": True}, {"gradient_checkpointing": True}):
        towers, tokens = make(**settings)
        towers(tokens, QUERY)[:, 0].sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in towers.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


def test_targets_name_the_layers(make):
    towers, _ = make(lora={"targets": ["q_proj", "v_proj"]})
    assert len(adapters(towers)) == 2 * 2 * 2
    with pytest.raises(ConfigError, match=r"encoder\.lora\.targets=\['query'\]"):
        make(lora={"targets": ["query"]})


def test_separate_towers_share_the_base_and_part_by_their_adapters(make):
    towers, tokens = make(separate=True)
    query, document = (dict(towers.tower(side).named_parameters()) for side in (QUERY, DOCUMENT))
    assert all((query[name] is document[name]) is not p.requires_grad for name, p in query.items())
    torch.testing.assert_close(towers(tokens, QUERY), towers(tokens, DOCUMENT))
    step(towers, tokens)
    assert not torch.allclose(towers(tokens, QUERY), towers(tokens, DOCUMENT))


def test_a_momentum_tower_shares_the_base_and_follows_by_its_adapters(make):
    towers, tokens = make(momentum=0.75)
    step(towers, tokens)
    trained, slow = (dict(tower.named_parameters()) for tower in (towers.tower(QUERY), towers.slow))
    start = {name: p.clone() for name, p in slow.items()}
    towers.follow()
    for name, p in slow.items():
        if ".lora_" in name:
            torch.testing.assert_close(p, 0.75 * start[name] + 0.25 * trained[name])
        else:
            assert p is trained[name]


def saved(towers, path, folder, **settings):
    recipe = Transformer(model=str(folder), pooling="last", lora=LoRA(r=2), **settings)
    lora = {"_target_": "hardneg.encoders.lora.LoRA", "r": 2}
    node = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(folder), "pooling": "last"}
    tokenizer = recipe.tokenizer(make_texts(["a"]))
    card = checkpoint.card({**node, **settings, "lora": lora}, recipe, tokenizer, towers)
    weights = {f"towers.{k}": v for k, v in towers.state_dict().items()}
    torch.save({"state_dict": weights, checkpoint.KEY: card}, path)
    return weights


@pytest.mark.parametrize("settings", [{}, {"separate": True}, {"dtype": "bfloat16"}, {"bidirectional": True}])
def test_a_checkpoint_holds_the_adapters_alone_and_gives_the_same_vectors(make, folder, tmp_path, settings):
    towers, tokens = make(**settings)
    step(towers, tokens, (QUERY, DOCUMENT))
    weights = saved(towers, tmp_path / "a.ckpt", folder, **settings)
    assert {name for name in weights if not name.endswith("_extra_state")} == {f"towers.{n}" for n in adapters(towers)}
    loaded = checkpoint.load(tmp_path / "a.ckpt")
    towers.eval()
    for side in (QUERY, DOCUMENT):
        torch.testing.assert_close(loaded.towers(tokens, side), towers(tokens, side), rtol=0, atol=0)


def test_a_checkpoint_with_another_base_is_refused(make, tmp_path):
    folder = save_decoder(tmp_path / "base", WORDS, "mistral")
    towers, _ = make(model=str(folder))
    saved(towers, tmp_path / "a.ckpt", folder)
    checkpoint.load(tmp_path / "a.ckpt")
    save_decoder(folder, WORDS, "mistral", seed=1)
    with pytest.raises(ConfigError, match=r"ckpt_path=.*a\.ckpt: the adapters were trained on another model"):
        checkpoint.load(tmp_path / "a.ckpt")


def test_the_weights_hash_sees_adapters_and_base(make, tmp_path):
    towers, tokens = make()
    before = weights_hash(towers)
    assert weights_hash(make()[0]) == before
    step(towers, tokens)
    assert weights_hash(towers) != before
    assert weights_hash(make(model=str(save_decoder(tmp_path, WORDS, "mistral", seed=1)))[0]) != before


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"r": 0}, "encoder.lora.r must be at least 1"),
        ({"alpha": 0.0}, "alpha > 0"),
        ({"dropout": 1.0}, "dropout < 1"),
        ({"targets": []}, "names no layer"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        LoRA(**settings)


def test_without_peft_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr("hardneg.encoders.lora.find_spec", lambda name: None)
    assert LoRA().r is None
    with pytest.raises(ConfigError, match=r"pip install 'hardneg\[lora\]'"):
        LoRA(r=8)


def test_a_type_for_frozen_weights_needs_some(folder):
    with pytest.raises(ConfigError, match=r"encoder\.dtype=bfloat16 is for weights that are not trained"):
        Transformer(model=str(folder), dtype="bfloat16")
    with pytest.raises(ConfigError, match=r"encoder\.dtype must be one of"):
        Transformer(model=str(folder), dtype="int8", lora=LoRA(r=2))
