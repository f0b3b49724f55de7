"""Which dropouts of a model `encoder.dropout` sets."""

from __future__ import annotations

import pytest
from transformers import BartConfig, BertConfig, GPTNeoConfig, T5Config

from hardneg.encoders.text_model import set_dropout


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (BertConfig, {"hidden_dropout_prob", "attention_probs_dropout_prob"}),
        (GPTNeoConfig, {"resid_dropout", "embed_dropout", "attention_dropout"}),
        (BartConfig, {"dropout", "attention_dropout", "activation_dropout"}),
        (T5Config, {"dropout_rate"}),
    ],
)
def test_every_dropout_of_units_is_set_and_no_layers_or_heads(kind, changed):
    config, before = kind(), vars(kind())
    set_dropout(config, 0.375)
    assert {key for key, value in vars(config).items() if value != before[key]} == changed
    assert all(getattr(config, key) == 0.375 for key in changed)
