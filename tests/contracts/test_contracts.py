"""Every yaml of negatives, loss and filter holds its contract, from the moment it exists; encoders and data too."""

from __future__ import annotations

import pytest
from confs import CONF

from hardneg.data.interactions import Interactions
from hardneg.data.pydocs import PyDocs
from hardneg.data.tokens import Side
from hardneg.data.toy import Toy
from hardneg.encoders.features import Features
from hardneg.encoders.latent_attention import Latents
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer
from hardneg.testing import Conf, check_data, check_encoder, promises

ALL = Conf(CONF)


@pytest.mark.parametrize("group", ["negatives", "loss", "filter"])
def test_the_group_has_yamls(group):
    assert ALL.names(group)


@pytest.mark.parametrize("promise", promises(ALL, "negatives"), ids=str)
def test_negatives(promise):
    promise.hold()


@pytest.mark.parametrize("promise", promises(ALL, "loss"), ids=str)
def test_loss(promise):
    promise.hold()


@pytest.mark.parametrize("promise", promises(ALL, "filter"), ids=str)
def test_filter(promise):
    promise.hold()


@pytest.mark.parametrize("recipe", [Toy(), Interactions(), PyDocs()], ids=["toy", "interactions", "pydocs"])
def test_data_that_are_made_here(recipe):
    check_data(recipe)


@pytest.mark.parametrize("recipe", [Static(dim=8, vocab_size=300), Features()], ids=["static", "features"])
def test_encoders_without_a_model(recipe):
    check_encoder(recipe)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pooling": "cls", "normalize": False, "layers": 2},
        {"pooling": "last", "dense": [{"out_features": 4, "activation": "Identity"}]},
        {"pooling": "latent_attention", "latents": Latents(count=3, heads=2, expansion=2)},
        {"include_prompt": False, "document": Side(prompt="passage: ", max_length=32)},
    ],
    ids=["mean", "cls", "dense", "latents", "prompt"],
)
def test_a_transformer(settings, bert):
    check_encoder(Transformer(**{"model": str(bert), "dropout": 0.0, **settings}))


def test_a_static_tower_of_a_transformers_words(bert):
    check_encoder(Static(init=str(bert)))
