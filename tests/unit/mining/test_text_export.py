"""Mined lists written for other tools."""

from __future__ import annotations

import pytest
from by_row import KNOWN, Below, Counting, mine

from hardneg.mining.text_export import export, left_out
from hardneg.testing.synthetic import make_training


@pytest.mark.parametrize(
    ("form", "first"),
    [
        ("triplet", {"anchor": "q text 0", "positive": "d text 3", "negative": "d text 0"}),
        ("n_tuple", {"anchor": "q text 0", "positive": "d text 3", "negative_1": "d text 0", "negative_2": "d text 1"}),
        ("flag", {"query": "q text 0", "pos": ["d text 3"], "neg": ["d text 0", "d text 1"]}),
        ("ids", {"query_id": "q0", "positive_ids": ["d3"], "negative_ids": ["d0", "d1"], "scores": [0.0, -1.0]}),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_exports_for_other_tools(tmp_path, form, first, ending):
    from datasets import load_dataset

    split = make_training([(0, 3), (2, 0)])
    store = mine(Counting(), split, KNOWN, 4, tmp_path)
    path = tmp_path / f"out.{ending}"
    count = export(store, split, 2, form, path)
    kind = "json" if ending == "jsonl" else "parquet"
    rows = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "hf"))
    assert len(rows) == count == (4 if form == "triplet" else 2) and rows[0] == first


@pytest.mark.parametrize(
    ("form", "k", "lacking"), [("triplet", 2, 0), ("n_tuple", 2, 0), ("n_tuple", 9, 2), ("ids", 9, 0)]
)
def test_queries_that_an_export_lacks_are_counted(tmp_path, form, k, lacking):
    split = make_training([(0, 3), (2, 0)])
    assert left_out(mine(Counting(), split, KNOWN, 4, tmp_path), split, k, form) == lacking


def test_parquet_knows_its_columns_where_the_first_lists_are_empty(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    from hardneg.mining import text_export as module

    monkeypatch.setattr(module, "BLOCK", 1)
    data = make_training([(0, 0), (1, 1)])
    store = mine(Counting(), data, {**KNOWN, "below": Below(1)}, 4, tmp_path)
    assert export(store, data, 2, "ids", tmp_path / "mined.parquet") == 2
    assert pq.read_table(tmp_path / "mined.parquet")["negative_ids"].to_pylist() == [[], ["d0"]]
    assert export(store, data, 2, "flag", tmp_path / "mined.jsonl") == 1, "a query without negatives is left out"
