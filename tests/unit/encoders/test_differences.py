"""Recipes are alike however they were written: as a config names all settings, or as a folder is read."""

from __future__ import annotations

import pytest

from hardneg.data.tokens import Side
from hardneg.encoders.dense_layers import DenseSpec
from hardneg.encoders.differences import differences
from hardneg.encoders.lora import LoRA
from hardneg.encoders.merge import ModelToMerge, check_alike
from hardneg.encoders.transformer import Transformer

TOLD = {"pooling": "cls", "normalize": True, "include_prompt": True, "query": Side(), "document": Side()}
READ = Transformer(model="any", dense=(DenseSpec(in_features=32, out_features=8),), **TOLD)


@pytest.mark.parametrize(
    "settings",
    [
        {"lora": LoRA()},
        {"dense": [{"out_features": 8}]},
        {"unpad": True},
        {"gradient_checkpointing": True},
    ],
)
def test_what_a_config_names_beside_what_a_folder_says_makes_no_difference(settings):
    """`hardneg merge` refused a transformer's folder beside any run of it, for `encoder.lora`."""
    trained = Transformer(**{"model": "any", "dense": [{"out_features": 8}], **TOLD, **settings})
    assert not differences(READ, trained)
    check_alike([ModelToMerge(name, recipe, {}, {}, {}) for name, recipe in (("folder", READ), ("run", trained))])


def test_what_changes_vectors_does(monkeypatch):
    monkeypatch.setattr("hardneg.encoders.lora.find_spec", lambda name: True)
    trained = Transformer(model="any", dense=[{"out_features": 4}], lora=LoRA(r=2), **{**TOLD, "pooling": "mean"})
    assert set(differences(READ, trained)) == {"dense", "lora", "pooling"}
