"""The names of test sets beside a run's own, and what is tested of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from hardneg.data.parts import Part
from hardneg.errors import ConfigError
from hardneg.retrieval import test_sets
from hardneg.retrieval.test_sets import load_others
from hardneg.testing.synthetic import make_data


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


def test_a_share_that_the_command_line_gives_to_a_set_of_a_mixture_counts_also_where_it_is_the_usual_one(
    tmp_path, monkeypatch
):
    rows = "".join(f"what is {i},it is {i}\n" for i in range(40))
    (tmp_path / "b.csv").write_text(f"query,positive\n{rows}")
    table = {"_target_": "hardneg.data.readers.table.Table", "path": str(tmp_path / "b.csv")}
    mix = {"_target_": "hardneg.data.mix.Mix", "sets": {"b": {**table, "test_share": 0.1}}}
    data = make_data([(0, 0), (1, 1)], queries=2)
    cfg = OmegaConf.create({"data": {}, "evaluate": {"also": {"m": mix}}, "cache": str(tmp_path)})
    tested = []
    for given in (set(), {"evaluate.also.m.sets.b.test_share"}):
        monkeypatch.setattr(test_sets, "keys_given", lambda given=given: given)
        (found,) = load_others(cfg, data, ["test"])
        tested.append(len(found.data.split(found.split).query_rows))
    assert tested[0] == 40 and 0 < tested[1] < 20
