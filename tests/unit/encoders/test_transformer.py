"""The transformer tower, on a tiny random BERT."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError


@pytest.fixture
def make(bert, toy, tokens_of):
    """The tower of a recipe with these settings, and some tokens."""

    def build(**settings):
        recipe = Transformer(**{"model": str(bert), "dropout": 0.0, **settings})
        tokenizer = recipe.tokenizer(toy.corpus)
        texts = [toy.corpus[0], " ".join(toy.corpus[1].split()[:4]), toy.queries[0]]
        return recipe, recipe.build(tokenizer), tokens_of(recipe, texts, tokenizer)

    return build


def run(tower, tokens):
    return tower(tokens.input_ids, tokens.attention_mask)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_it_is_the_models_hidden_states_pooled_and_normalised(pooling, make, bert):
    from transformers import AutoModel

    _, tower, tokens = make(pooling=pooling)
    hidden = AutoModel.from_pretrained(bert).eval()(tokens.input_ids, tokens.attention_mask.long()).last_hidden_state
    row = {"mean": hidden[1, : tokens.lengths[1]].mean(dim=0), "cls": hidden[1, 0],
           "last": hidden[1, tokens.lengths[1] - 1]}[pooling]  # fmt: skip
    torch.testing.assert_close(run(tower, tokens)[1], F.normalize(row, dim=0), atol=1e-5, rtol=1e-5)


def test_normalize_false_gives_the_same_directions_with_their_lengths(make):
    _, unit, tokens = make()
    _, free, _ = make(normalize=False)
    torch.testing.assert_close(run(unit, tokens).norm(dim=1), torch.ones(3))
    assert (run(free, tokens).norm(dim=1) - 1).abs().min() > 1e-3
    torch.testing.assert_close(F.normalize(run(free, tokens), dim=1), run(unit, tokens))


def test_padding_changes_nothing(make):
    _, tower, tokens = make()
    alone = tokens.part(torch.tensor([1]))
    assert alone.input_ids.shape[1] < tokens.input_ids.shape[1]
    torch.testing.assert_close(run(tower, alone)[0], run(tower, tokens)[1], atol=1e-5, rtol=1e-5)


def test_layers_keeps_the_first_ones_with_their_weights(make):
    (_, three, _), (_, two, _) = make(), make(layers=2)
    assert (len(three.model.encoder.layer), len(two.model.encoder.layer)) == (3, 2)
    for name, weight in two.model.state_dict().items():
        torch.testing.assert_close(weight, three.model.state_dict()[name])


@pytest.mark.parametrize("layers", [0, 4])
def test_layers_must_be_there(layers, make):
    with pytest.raises(ConfigError, match=r"encoder\.layers"):
        make(layers=layers)


@pytest.mark.parametrize(("dropout", "random"), [(0.0, False), (0.3, True), (None, True)])
def test_dropout_is_what_was_asked_for_or_the_models_own(dropout, random, make):
    _, tower, tokens = make(dropout=dropout)
    tower.train()
    assert torch.equal(run(tower, tokens), run(tower, tokens)) is not random
    tower.eval()
    assert torch.equal(run(tower, tokens), run(tower, tokens))


def test_every_parameter_gets_a_gradient(make):
    _, tower, tokens = make()
    run(tower, tokens)[:, 0].sum().backward()
    assert not [name for name, p in tower.named_parameters() if p.grad is None], "DDP refuses unused parameters"


@pytest.mark.filterwarnings("error::FutureWarning")
def test_gradient_checkpointing_changes_no_gradient(make):
    gradients = []
    for checkpointing in (False, True):
        _, tower, tokens = make(gradient_checkpointing=checkpointing)
        tower.train()
        run(tower, tokens)[:, 0].sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in tower.parameters()]))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("separate", [True, False])
def test_separate_towers_start_alike_and_part_and_shared_ones_stay_one(separate, make):
    recipe, tower, tokens = make(separate=separate)
    towers = Towers(recipe, tower)
    torch.testing.assert_close(towers(tokens, QUERY), towers(tokens, DOCUMENT))
    optimizer = torch.optim.SGD(towers.parameters(), lr=1.0)
    towers(tokens, QUERY)[:, 0].sum().backward()
    optimizer.step()
    same = torch.allclose(towers(tokens, QUERY), towers(tokens, DOCUMENT))
    assert same is not separate
    assert len(towers.towers) == 1 + separate and towers.dim == 16


def test_towers_answer_in_float32_whatever_they_compute_in(make):
    recipe, tower, tokens = make()
    with torch.autocast("cpu", torch.bfloat16):
        assert Towers(recipe, tower)(tokens, QUERY).dtype == torch.float32


def test_rebuild_makes_the_same_shape_from_plain_values(make):
    recipe, tower, tokens = make(layers=2)
    again = recipe.rebuild(recipe.architecture(tower))
    again.load_state_dict(tower.state_dict())
    torch.testing.assert_close(run(again.eval(), tokens), run(tower.eval(), tokens))


def test_a_model_that_is_not_there_is_refused_with_a_fix(tmp_path, toy):
    with pytest.raises(ConfigError, match=r"there is no folder '.*nowhere'; give one that holds a model"):
        Transformer(model=str(tmp_path / "nowhere")).tokenizer(toy.corpus)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ConfigError, match=r"encoder\.pooling"):
        Transformer(model="x", pooling="sum")
