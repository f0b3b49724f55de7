"""A rate that is not known before the run is checked as if it were that of a short one."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hardneg.errors import ConfigError
from hardneg.preflight.parts import with_rate
from hardneg.preflight.rates import check_rates

STATIC = {"_target_": "hardneg.encoders.static.Static", "lr": "auto"}


def test_what_takes_the_encoders_rate_has_a_number_then():
    groups = {"embeddings": {"lr": "auto"}, "head": {"lr": 0.1, "match": "*"}}
    optimizer = {"lr": "auto", "adamw_lr": "auto", "eps": 1e-8, "mode": "auto", "groups": groups}
    node = {"encoder": STATIC, "optimizer": optimizer}
    found = with_rate(node)["optimizer"]
    assert found["lr"] == found["adamw_lr"] == found["groups"]["embeddings"]["lr"] > 0
    assert found["eps"] == 1e-8 and found["mode"] == "auto" and found["groups"]["head"] == {"lr": 0.1, "match": "*"}
    assert node["optimizer"]["lr"] == "auto"


def test_other_words_are_left_to_the_optimizer_and_other_encoders_are_refused():
    node = {"encoder": STATIC | {"lr": 0.1}, "optimizer": {"lr": "auto"}}
    assert with_rate(node) is node
    pairs = {"_target_": "hardneg.encoders.cross_encoder.PairRecipe", "model": "minilm", "lr": "auto"}
    with pytest.raises(ConfigError, match=r"encoder\.lr=auto is for encoder=static"):
        with_rate({"encoder": pairs, "optimizer": {"lr": "auto"}})


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ({"lr": "auto"}, "optimizer.lr"),
        ({"lr": "${encoder.lr}", "groups": {"head": {"lr": "auto"}}}, "optimizer.groups.head.lr"),
    ],
)
def test_an_auto_that_is_written_at_the_optimizer_is_refused(optimizer, name):
    cfg = OmegaConf.create({"encoder": {"lr": "auto"}, "optimizer": optimizer})
    with pytest.raises(ConfigError, match=rf"^{name}=auto: write encoder.lr=auto .* and leave {name} out$"):
        check_rates(cfg)


def test_a_rate_that_is_the_encoders_is_taken():
    check_rates(OmegaConf.create({"encoder": {"lr": "auto"}, "optimizer": {"lr": "${encoder.lr}", "groups": None}}))
