"""What a setting of a recipe decides is said where it is declared, and inherited."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from hardneg.encoders.differences import differences
from hardneg.encoders.features import Features
from hardneg.encoders.purposes import Purpose, setting, with_purpose
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer

TRAINING = {"lr", "batch_size", "tokens", "momentum", "freeze", "grad_cache", "matryoshka"}


@pytest.mark.parametrize(
    ("recipe", "purpose", "names"),
    [
        (Static(), Purpose.TRAINING, TRAINING),
        (Features(), Purpose.TRAINING, TRAINING),
        (Transformer(model="m"), Purpose.TRAINING, {*TRAINING, "dropout", "gradient_checkpointing"}),
        (Static(), Purpose.START, {"init", "dim", "vocab_size"}),
        (Transformer(model="m"), Purpose.START, {"model", "revision", "trust_remote_code", "layers"}),
        (Transformer(model="m"), Purpose.ROUNDING, {"attention", "unpad"}),
        (Static(), Purpose.QUERIES, {"query", "separate"}),
        (Static(), Purpose.OPEN, {"query", "document", "normalize"}),
        (
            Transformer(model="m"),
            Purpose.OPEN,
            {"query", "document", "normalize", "pooling", "dense", "include_prompt"},
        ),
    ],
)
def test_the_settings_of_each_purpose(recipe, purpose, names):
    assert with_purpose(recipe, purpose) == names


@dataclass(frozen=True, kw_only=True)
class Own(Static):
    """Another default for a setting, and two settings of its own."""

    momentum: float | None = 0.9
    noise: float = setting(0.0, Purpose.TRAINING)
    power: float = 1.0


def test_a_recipe_of_ones_own_keeps_purposes_and_adds_to_them():
    own = Own()
    assert with_purpose(own, Purpose.TRAINING) == {*TRAINING, "noise"}, "also where only the default is another"
    assert "noise" not in own.embedding_settings() and "momentum" not in own.embedding_settings()
    assert not differences(own, replace(own, noise=0.5, momentum=None, lr=1.0))
    assert differences(own, replace(own, power=2.0)) == {"power": (1.0, 2.0)}


def test_rounding_is_no_difference_but_vectors_in_the_cache_are_kept_apart_by_it():
    plain = Transformer(model="m")
    for rounded in (replace(plain, unpad=True), replace(plain, attention="eager")):
        assert not differences(plain, rounded) and rounded.embedding_settings() != plain.embedding_settings()
    assert replace(plain, gradient_checkpointing=True).embedding_settings() == plain.embedding_settings()
