"""A checkpoint can be read on its own, wherever the model it started from has gone."""

from __future__ import annotations

import shutil

import pytest
import torch

from hardneg.config import classes
from hardneg.encoders import checkpoint
from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.errors import ConfigError

SIDES = {
    "query": {"_target_": "hardneg.data.tokens.Side", "prompt": "ask: ", "max_length": 9},
    "document": {"_target_": "hardneg.data.tokens.Side", "prompt": "", "max_length": 20},
}
BERT = {"_target_": "hardneg.encoders.transformer.Transformer", "layers": 2, "pooling": "cls", **SIDES}
STATIC = {"_target_": "hardneg.encoders.static.Static", **SIDES}
NODES = {
    "transformer": {**BERT, "model": "BERT"},
    "two transformers": {**BERT, "model": "BERT", "separate": True, "normalize": False},
    "static": {**STATIC, "dim": 8, "vocab_size": 300},
    "static from a transformer": {**STATIC, "init": "BERT", "separate": True},
}


@pytest.mark.parametrize("kind", NODES)
def test_the_loaded_encoder_gives_the_same_vectors_and_needs_no_other_file(kind, toy, bert, tokens_of, tmp_path):
    model = shutil.copytree(bert, tmp_path / "model")
    node = {key: str(model) if value == "BERT" else value for key, value in NODES[kind].items()}
    recipe = classes.build(node).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    with torch.no_grad():
        for number, p in enumerate(towers.parameters()):
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(number)))
    card = checkpoint.card(node, recipe, tokenizer, towers)
    weights = {f"towers.{k}": v for k, v in towers.state_dict().items()} | {"losses.x": torch.ones(1)}
    torch.save({"state_dict": weights, checkpoint.KEY: card}, tmp_path / "a.ckpt")
    shutil.rmtree(model)

    loaded = checkpoint.load(tmp_path / "a.ckpt")
    assert loaded.recipe == recipe and not loaded.towers.training
    assert loaded.tokenizer.to_str() == tokenizer.to_str()
    tokens = tokens_of(recipe, toy.corpus.take(range(5)), loaded.tokenizer)
    for side in (QUERY, DOCUMENT):
        torch.testing.assert_close(loaded.towers(tokens, side), towers(tokens, side), rtol=0, atol=0)
    assert torch.equal(towers(tokens, QUERY), towers(tokens, DOCUMENT)) is not recipe.separate


def test_a_file_that_is_not_there_or_not_ours_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        checkpoint.load(tmp_path / "none.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ConfigError, match=r"other\.ckpt was not written by hardneg"):
        checkpoint.load(tmp_path / "other.ckpt")


def test_a_checkpoint_cannot_run_code(tmp_path):
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, checkpoint.KEY: {"encoder": {"_target_": "os.system", "command": "true"}}}, path)
    with pytest.raises(ConfigError, match="not allowed"):
        checkpoint.load(path)


@pytest.fixture
def save(toy, tmp_path):
    """A checkpoint of moved static towers; returns their recipe, tokenizer and weights too."""

    def make(**settings):
        node = {**NODES["static"], **settings}
        recipe = classes.build(node)
        tokenizer = recipe.tokenizer(toy.corpus)
        towers = Towers(recipe, recipe.build(tokenizer))
        with torch.no_grad():
            for number, p in enumerate(towers.parameters()):
                p.add_(number + 1)
        card = checkpoint.card(node, recipe, tokenizer, towers)
        state = {f"towers.{k}": v for k, v in towers.state_dict().items()}
        torch.save({"state_dict": state, checkpoint.KEY: card}, tmp_path / "a.ckpt")
        return recipe, tokenizer, towers

    return make


def start(tmp_path, tokenizer, **settings):
    recipe = classes.build({**NODES["static"], **settings})
    towers = Towers(recipe, recipe.build(tokenizer))
    checkpoint.start_from(tmp_path / "a.ckpt", recipe, tokenizer, towers)
    return towers


def table(tower):
    return tower.embedding.weight


@pytest.mark.parametrize("settings", [{}, {"separate": True}, {"momentum": 0.9}])
def test_every_tower_starts_from_a_shared_one(save, tmp_path, settings):
    _, tokenizer, old = save()
    new = start(tmp_path, tokenizer, **settings)
    for tower in (new.tower(QUERY), new.tower(DOCUMENT), *([new.slow] if new.slow is not None else [])):
        assert torch.equal(table(tower), table(old.tower(QUERY)))


def test_separate_towers_start_each_from_its_own(save, tmp_path):
    _, tokenizer, old = save(separate=True)
    new = start(tmp_path, tokenizer, separate=True)
    for side in (QUERY, DOCUMENT):
        assert torch.equal(table(new.tower(side)), table(old.tower(side)))
    with pytest.raises(ConfigError, match=r"set encoder\.separate=true"):
        start(tmp_path, tokenizer)


@pytest.mark.parametrize("was", [{}, {"separate": True}])
def test_frozen_documents_start_as_the_checkpoint_has_them(save, tmp_path, was):
    _, tokenizer, old = save(**was)
    new = start(tmp_path, tokenizer, freeze="document", query={**SIDES["query"], "prompt": "other: "})
    for side in (QUERY, DOCUMENT):
        assert weights_hash(new.tower(side)) == weights_hash(old.tower(side))
    longer = {**SIDES["document"], "max_length": 30}
    with pytest.raises(ConfigError, match=r"encoder\.document was .* other vectors; set it as it was"):
        start(tmp_path, tokenizer, freeze="document", document=longer)


def test_an_encoder_that_does_not_fit_cannot_start_from_it(save, tmp_path, toy):
    _, tokenizer, _ = save()
    with pytest.raises(ConfigError, match=r"a\.ckpt does not fit this encoder.*size mismatch.*set encoder.dim=8"):
        start(tmp_path, tokenizer, dim=16)
    other = classes.build({**NODES["static"], "vocab_size": 200}).tokenizer(toy.corpus)
    with pytest.raises(ConfigError, match="another tokenizer"):
        start(tmp_path, other)


def test_settings_that_embed_differently_are_named(save, tmp_path, caplog):
    _, tokenizer, _ = save()
    start(tmp_path, tokenizer, normalize=False, lr=0.5)
    assert [record.message for record in caplog.records] == ["init_from: encoder.normalize was True and is False now"]


def test_a_training_does_not_go_on_from_an_encoder_alone(tmp_path):
    torch.save({"state_dict": {}, checkpoint.KEY: {}}, tmp_path / "imported.ckpt")
    with pytest.raises(ConfigError, match="no state of a training"):
        checkpoint.check_resumable(tmp_path / "imported.ckpt")
    torch.save({"state_dict": {}, "optimizer_states": []}, tmp_path / "last.ckpt")
    checkpoint.check_resumable(tmp_path / "last.ckpt")


def test_a_training_does_not_go_on_with_an_encoder_of_another_size(tmp_path):
    towers = torch.nn.ModuleDict({"query": torch.nn.Linear(4, 2)})
    held = {f"{checkpoint.TOWERS}query.weight": torch.zeros(2, 4), "losses.temperature": torch.zeros(3)}
    torch.save({"state_dict": held, "optimizer_states": []}, tmp_path / "last.ckpt")
    checkpoint.check_fits(tmp_path / "last.ckpt", towers)
    other = torch.nn.ModuleDict({"query": torch.nn.Linear(8, 2)})
    with pytest.raises(ConfigError, match=r"query.weight is \(2, 4\) there and \(2, 8\) here; go on with the settings"):
        checkpoint.check_fits(tmp_path / "last.ckpt", other)
    held = {f"network.{name}": weights for name, weights in towers.state_dict().items()}
    torch.save({"state_dict": held, "optimizer_states": []}, tmp_path / "last.ckpt")
    checkpoint.check_fits(tmp_path / "last.ckpt", towers, "network.")
    with pytest.raises(ConfigError, match=r"\(hardneg resume RUN\)$"):  # a teacher has no init_from
        checkpoint.check_fits(tmp_path / "last.ckpt", other, "network.")
