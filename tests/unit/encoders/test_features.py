"""The feature tower: bags of embeddings by hand, unknown features, and a vocabulary of both sides."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hardneg.data.tokens import TokenTable
from hardneg.encoders import checkpoint
from hardneg.encoders.features import SPECIAL, UNKNOWN, Features
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.errors import ConfigError
from hardneg.testing.synthetic import make_texts

ITEMS = make_texts(["item=1 genre=sf genre=noir", "item=2 genre=sf"])
USERS = make_texts(["user=17 country=de", "user=18 country=de"], "q")


def embed(recipe, texts, tmp_path, change=None):
    """The tower's embeddings of these texts, its table and the rows of the features."""
    tokenizer = recipe.tokenizer(ITEMS, USERS)
    tower = recipe.build(tokenizer).eval()
    if change is not None:
        change(tower)
    tokens = TokenTable.build(make_texts(texts, "t"), tokenizer, recipe.query, tmp_path, "texts")
    with torch.no_grad():
        found = tower(*tokens.batch(torch.arange(len(texts)).numpy()).inputs)
    return found, tower, tokenizer.get_vocab()


def test_the_vocabulary_is_the_features_of_both_sides():
    names = ["country=de", "genre=noir", "genre=sf", "item=1", "item=2", "user=17", "user=18"]
    vocabulary = Features().tokenizer(ITEMS, USERS).get_vocab()
    assert vocabulary == {name: row for row, name in enumerate([*SPECIAL, *names])}


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_a_text_is_the_mean_or_sum_of_its_features(pooling, tmp_path):
    recipe = Features(dim=4, pooling=pooling, normalize=False)
    found, tower, rows = embed(recipe, ["user=17 country=de", "genre=sf"], tmp_path)
    first = tower.embedding.weight[[rows["user=17"], rows["country=de"]]]
    torch.testing.assert_close(found[0], getattr(first, pooling)(dim=0).detach())
    torch.testing.assert_close(found[1], tower.embedding.weight[rows["genre=sf"]].detach())


def test_an_mlp_follows_where_it_is_asked_for(tmp_path):
    found, tower, rows = embed(Features(dim=4, hidden=[6, 5]), ["item=2 genre=sf"], tmp_path)
    one, _, two, _, three = tower.mlp
    assert [layer.out_features for layer in (one, two, three)] == [6, 5, 4]
    pooled = tower.embedding.weight[[rows["item=2"], rows["genre=sf"]]].mean(dim=0)
    expected = F.normalize(three(two(one(pooled).relu()).relu()), dim=-1)
    torch.testing.assert_close(found[0], expected.detach())


def test_an_unseen_feature_is_nothing_until_unknown_ones_are_learned(tmp_path):
    recipe = Features(dim=4, pooling="sum", normalize=False)
    texts = ["user=99 country=de", "country=de"]
    (cold, warm), _, _ = embed(recipe, texts, tmp_path)
    assert torch.equal(cold, warm)
    (cold, warm), _, _ = embed(recipe, texts, tmp_path, lambda tower: tower.embedding.weight.data[UNKNOWN].fill_(1.0))
    torch.testing.assert_close(cold, warm + 1)


def test_hidden_features_train_the_unknown_row():
    tower = Features(dim=4, unknown=0.5).build(Features().tokenizer(ITEMS, USERS))
    ids, mask = torch.full((8, 3), 4), torch.ones(8, 3, dtype=torch.bool)
    torch.manual_seed(0)
    tower.train()(ids, mask)[:, 0].sum().backward()
    assert tower.embedding.weight.grad[UNKNOWN].any()
    assert torch.equal(tower.eval()(ids, mask)[0], tower(ids, mask)[1])  # nothing is hidden in evaluation


def test_a_text_whose_features_are_all_hidden_has_a_gradient_like_others():
    torch.manual_seed(0)
    tower = Features(dim=4, unknown=0.5).build(Features().tokenizer(ITEMS, USERS))
    tower(torch.full((64, 1), 2), torch.ones(64, 1, dtype=torch.bool))[:, 0].sum().backward()
    unknown, known = tower.embedding.weight.grad[[UNKNOWN, 2]].norm(dim=1)
    assert 0.01 * known < unknown < 100 * known


def test_users_and_items_have_a_tower_each_and_come_back_from_a_checkpoint(tmp_path):
    node = {"_target_": "hardneg.encoders.features.Features", "dim": 8, "hidden": [5], "unknown": 0.1}
    recipe = Features(dim=8, hidden=[5], unknown=0.1)
    tokenizer = recipe.tokenizer(ITEMS, USERS)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    towers.tower(DOCUMENT).embedding.weight.data += 0.5
    weights = {f"towers.{name}": value for name, value in towers.state_dict().items()}
    card = checkpoint.card(node, recipe, tokenizer, towers)
    torch.save({"state_dict": weights, checkpoint.KEY: card}, tmp_path / "a.ckpt")
    back = checkpoint.load(tmp_path / "a.ckpt")
    tokens = TokenTable.build(ITEMS, back.tokenizer, recipe.document, tmp_path, "items").batch(torch.arange(2).numpy())
    with torch.no_grad():
        for side in (QUERY, DOCUMENT):
            torch.testing.assert_close(back.towers(tokens, side), towers(tokens, side))
        assert not torch.allclose(towers(tokens, QUERY), towers(tokens, DOCUMENT))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pooling": "max"}, "mean, sum"),
        ({"hidden": [0]}, "hidden"),
        ({"unknown": 1.0}, "unknown"),
        ({"dim": 0}, "dim"),
    ],
)
def test_numbers_that_cannot_be_are_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        Features(**given)
