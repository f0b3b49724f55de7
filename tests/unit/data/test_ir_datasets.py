"""Readers: sets of the package ir_datasets, as it makes them from local files."""

from __future__ import annotations

import sys
import time

import ir_datasets_layout
import layouts
import pytest
from read_back import named, negatives, positives

from hardneg.data.readers.ir_datasets_set import IrDatasets
from hardneg.errors import ConfigError, DataError, UserError

package = pytest.importorskip("ir_datasets")
WORLD = layouts.world()


def test_a_set_holds_the_same_world(tmp_path, monkeypatch):
    ir_datasets_layout.register(tmp_path, monkeypatch)
    data = IrDatasets("tiny", docpairs=True).load()
    assert data.name == "tiny" and list(data.qrels) == ["train"] and named(data, "train")[0] == ("1000", "0", 1.0)
    assert positives(data) == {line.query: {layouts.joined(line.positive)} for line in WORLD}
    assert negatives(data) == {line.query: {layouts.joined(doc) for doc in line.negatives} for line in WORLD}
    assert IrDatasets("tiny").load().given is None
    assert sorted(IrDatasets("tiny", dev_share=0.2, test_share=0.2).load().qrels) == ["dev", "test", "train"]


def test_a_row_is_told_as_the_package_counts(tmp_path, monkeypatch):
    ir_datasets_layout.register(tmp_path, monkeypatch)
    pairs = tmp_path / "train.pairs"
    pairs.write_text(pairs.read_text() + "1000\t0\tnowhere\n")
    last = len(pairs.read_text().splitlines()) - 1
    with pytest.raises(DataError, match=rf"tiny(/train)? \[docpairs\]: row {last} \(from 0\): triple .*'nowhere'"):
        IrDatasets("tiny", docpairs=True).load()


def test_subsets_are_splits(tmp_path, monkeypatch):
    parts = {"train": range(20), "validation": range(20, 30), "test": range(30, 40), "dev/small": range(25, 30)}
    ir_datasets_layout.register(tmp_path, monkeypatch, parts)
    counts = {split: len(qrels) for split, qrels in IrDatasets("tiny").load().qrels.items()}
    assert counts == {"train": 20, "dev": 10, "test": 10}
    assert list(IrDatasets("tiny/validation").load().qrels) == ["dev"]
    assert list(IrDatasets("tiny/dev/small").load().qrels) == ["dev"]
    chosen = IrDatasets("tiny", splits={"train": "train", "test": "dev/small"}).load()
    assert {split: len(qrels) for split, qrels in chosen.qrels.items()} == {"train": 20, "test": 5}
    with pytest.raises(DataError, match=r"ir_datasets has no 'dev/large'; there are: tiny/dev/small"):
        IrDatasets("tiny", splits={"dev": "dev/large"}).load()
    with pytest.raises(DataError, match=r"ir_datasets has no 'tiny/other'; there are: tiny, "):
        IrDatasets("tiny/other").load()
    with pytest.raises(ConfigError, match=r"data.id is empty"):
        IrDatasets(" ")


def test_splits_share_their_documents(tmp_path, monkeypatch):
    ir_datasets_layout.register(tmp_path, monkeypatch)
    with pytest.raises(DataError, match=r"data.splits are of different documents: (beir/scifact, tiny|tiny, beir/sci)"):
        IrDatasets("tiny", splits={"train": "train", "test": "beir/scifact/test"}).load()


def test_without_judgements_or_a_network_it_says_what_to_do(tmp_path, monkeypatch):
    ir_datasets_layout.register(tmp_path, monkeypatch, {"part": range(3)})
    with pytest.raises(DataError, match=r"tiny: no judgements of its own; choose with data.splits=; .*tiny/part"):
        IrDatasets("tiny").load()
    (tmp_path / "collection.tsv").unlink()
    monkeypatch.setattr("hardneg.data.readers.hub_access.answers", lambda _: False)
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"tiny/part: ir_datasets could not read it .*set IR_DATASETS_HOME"):
        IrDatasets("tiny/part").load()
    assert time.perf_counter() - start < 10


def test_the_package_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(UserError, match=r"pip install 'hardneg\[ir_datasets\]'"):
        IrDatasets("beir/scifact").load()
