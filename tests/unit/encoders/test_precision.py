"""The computing type: what auto means, and that it can be overruled."""

from __future__ import annotations

import pytest

from hardneg.encoders import precision
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer

RECIPES = {"static": Static(), "transformer": Transformer(model="x")}


@pytest.mark.parametrize(
    ("recipe", "native", "expected"),
    [
        ("transformer", True, "bf16-mixed"),
        ("transformer", False, "32-true"),
        ("static", True, "32-true"),
        ("static", False, "32-true"),
    ],
)
def test_auto_takes_bf16_where_the_processor_has_it_and_the_encoder_gains(recipe, native, expected, monkeypatch):
    monkeypatch.setattr(precision, "native_bf16", lambda device: native)
    assert precision.resolve_precision("auto", RECIPES[recipe], "auto") == expected


@pytest.mark.parametrize("asked", ["32-true", "bf16-mixed", "16-mixed", 32])
def test_what_is_asked_for_is_taken(asked):
    assert precision.resolve_precision(asked, RECIPES["static"], "cpu") == str(asked)


def test_this_machine_can_say_what_it_has():
    assert precision.native_bf16("auto") in (True, False)
