"""Keys without a value are named, wherever they stand."""

from __future__ import annotations

from omegaconf import OmegaConf

from hardneg.config.composition import missing_keys


def test_keys_without_a_value_are_named_in_dicts_and_lists_and_where_others_read_them():
    cfg = OmegaConf.create(
        {"seed": 1, "data": {"path": "???", "sets": [{"id": "???"}, "???"]}, "encoder": "???", "name": "${data.path}"}
    )
    assert missing_keys(cfg) == ["data.path", "data.sets[0].id", "data.sets[1]", "encoder"]
    assert missing_keys(OmegaConf.create({"seed": 1, "name": "${no.such.key}"})) == []
