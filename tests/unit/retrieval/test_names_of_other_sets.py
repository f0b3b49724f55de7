"""The names of test sets beside a run's own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from omegaconf import OmegaConf
from synthetic import make_data

from hardneg.data.parts import Part
from hardneg.errors import ConfigError
from hardneg.retrieval.test_sets import load_others


def test_a_run_begun_before_a_name_was_refused_keeps_it(tmp_path):
    (tmp_path / "pairs.jsonl").write_text(
        "\n".join(json.dumps({"query": f"where is {n}", "positive": f"here is {n}"}) for n in range(9))
    )
    data = replace(make_data([(0, 0), (1, 1)], queries=2), mixed=(Part("places", range(2), range(2)),))
    also = {"places": {"path": str(tmp_path / "pairs.jsonl")}}
    cfg = OmegaConf.create({"data": {}, "evaluate": {"also": also}, "cache": str(tmp_path), "ckpt_path": None})
    with pytest.raises(ConfigError, match="the run's own test set is called places too"):
        load_others(cfg, data, ["test"])
    assert [one.name for one in load_others(cfg, data, ["test"], begun=True)] == ["places"]
