"""A rate that is not known before the run is checked as if it were that of a short one."""

from __future__ import annotations

import pytest

from hardneg.errors import ConfigError
from hardneg.preflight.parts import with_rate

STATIC = {"_target_": "hardneg.encoders.static.Static", "lr": "auto"}


def test_what_takes_the_encoders_rate_has_a_number_then():
    groups = {"embeddings": {"lr": "auto"}, "head": {"lr": 0.1, "match": "*"}}
    node = {"encoder": STATIC, "optimizer": {"lr": "auto", "adamw_lr": "auto", "eps": 1e-8, "groups": groups}}
    found = with_rate(node)["optimizer"]
    assert found["lr"] == found["adamw_lr"] == found["groups"]["embeddings"]["lr"] > 0
    assert found["eps"] == 1e-8 and found["groups"]["head"] == {"lr": 0.1, "match": "*"}
    assert node["optimizer"]["lr"] == "auto"


def test_other_words_are_left_to_the_optimizer_and_other_encoders_are_refused():
    node = {"encoder": STATIC | {"lr": 0.1}, "optimizer": {"lr": "auto"}}
    assert with_rate(node) is node
    pairs = {"_target_": "hardneg.encoders.cross_encoder.PairRecipe", "model": "minilm", "lr": "auto"}
    with pytest.raises(ConfigError, match=r"encoder\.lr=auto is for encoder=static"):
        with_rate({"encoder": pairs, "optimizer": {"lr": "auto"}})
