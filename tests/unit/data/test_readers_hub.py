"""Readers: Hugging Face sets, all of them in folders."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from read_back import CORPUS, QUERIES, check_both_modes, named, negatives, positives, write

from hardneg.data.readers import hub_access
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.table import Table
from hardneg.errors import DataError

datasets = pytest.importorskip("datasets")


def save(rows, path, split=None):
    data = datasets.Dataset.from_list(rows)
    (datasets.DatasetDict({split: data}) if split else data).save_to_disk(str(path))


def hub(folder, corpus=CORPUS, score=1, qrel=("q0", "007")):
    save([{"title": "", **json.loads(row)} for row in corpus], folder / "set" / "corpus", "corpus")
    save([json.loads(row) for row in QUERIES], folder / "set" / "queries")
    rows = [{"query-id": "q1", "corpus-id": "7", "score": 1}]
    train = [{"query-id": qrel[0], "corpus-id": qrel[1], "score": score}]
    splits = {"validation": datasets.Dataset.from_list(rows), "train": datasets.Dataset.from_list(train)}
    datasets.DatasetDict(splits).save_to_disk(str(folder / "set-qrels"))
    return str(folder / "set")


def test_hub_beir_style(tmp_path):
    data = Hub(hub(tmp_path)).load()
    assert data.name == "set" and data.corpus.take([0, 1, 2]) == ["James Bond", "seven", "two"]
    assert named(data, "train") == [("q0", "007", 1.0)] and named(data, "dev") == [("q1", "7", 1.0)]


def test_a_set_is_read_from_within_its_folder(tmp_path, monkeypatch):
    repo = hub(tmp_path)
    monkeypatch.chdir(repo)
    (tmp_path / "set" / "inner").mkdir()
    for here in (".", "./", f"../{Path(repo).name}/", "inner/.."):
        data = Hub(here).load()
        assert data.name == "set" and named(data, "train") == [("q0", "007", 1.0)]
    shutil.rmtree(f"{repo}-qrels")
    with pytest.raises(DataError, match=rf"\.: no judgements: no config qrels, .* {repo}-qrels; .*qrels_repo="):
        Hub(".").load()


def test_hub_tsv_ids_stay_strings(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    repo = hub(tmp_path)
    write(tmp_path / "plain" / "train.tsv", ["query-id\tcorpus-id\tscore", "q0\t007\t1"])
    data = Hub(repo, qrels_repo=str(tmp_path / "plain")).load()
    assert named(data, "train") == [("q0", "007", 1.0)]


def test_hub_bad_rows(tmp_path):
    repo = hub(tmp_path / "a", corpus=[*CORPUS, CORPUS[0]])
    check_both_modes(lambda mode: Hub(repo, on_error=mode), f"{repo} [corpus]: row 3 (from 0): ", "duplicate id")
    for n, (qrel, score, reason) in enumerate(
        [
            (("q0", "d9"), 1, "unknown document"),
            ((0, "007"), 1, "wrong type"),
            (("q0", "007"), float("nan"), "score not finite"),
            (("q0", "007"), None, "score not a number"),
            (("q0", "007"), 0, "query without positive"),
        ]
    ):
        repo = hub(tmp_path / str(n), score=score, qrel=qrel)
        data = check_both_modes(
            lambda mode, r=repo: Hub(r, on_error=mode), f"{repo}-qrels [train]: row 0 (from 0): ", reason
        )
        assert list(data.qrels) == ["dev"]


def test_hub_pairs(tmp_path):
    rows = [{"anchor": f"q {i}", "positive": f"p {i}", "negative": f"n {i}", "other": i} for i in range(200)]
    save(rows, tmp_path / "pairs")
    data = Hub(str(tmp_path / "pairs")).load()
    assert sorted(data.qrels) == ["dev", "test", "train"] and len(data.corpus) == 400
    assert positives(data)["q 5"] == {"p 5"} and negatives(data)["q 5"] == {"n 5"}
    write(tmp_path / "p.jsonl", [json.dumps(row) for row in rows])
    same = Jsonl(str(tmp_path / "p.jsonl")).load()
    assert same.corpus.fingerprint == data.corpus.fingerprint
    np.testing.assert_array_equal(same.split("test").docs, data.split("test").docs)

    save(rows, tmp_path / "configs" / "triplet", "train")
    assert len(Hub(str(tmp_path / "configs"), config="triplet").load().queries) == 200
    with pytest.raises(DataError, match=r"no split 'dev' \(data.split\); there are: train"):
        Hub(str(tmp_path / "configs"), config="triplet", split="dev").load()
    save([{"one": "a", "two": "b", "three": "c"}], tmp_path / "qa")  # question and answer are recognised
    with pytest.raises(DataError, match=r"no query field .*one, two, three.*data.columns="):
        Hub(str(tmp_path / "qa"), on_error="skip").load()


def test_a_first_row_with_a_gap_is_left_out_as_any_other(tmp_path, caplog):
    save([{"one": None, "two": "A"}, {"one": "b", "two": "B"}, {"one": "c", "two": "C"}], tmp_path / "pairs")
    with pytest.raises(DataError, match=r"pairs \[default, train\]: row 0 \(from 0\): no query field"):
        Hub(str(tmp_path / "pairs")).load()
    data = Hub(str(tmp_path / "pairs"), on_error="skip", dev_share=0, test_share=0).load()
    assert positives(data) == {"b": {"B"}, "c": {"C"}} and data.skipped == {"missing field": 1}
    save([{"one": None, "two": "A"}], tmp_path / "nothing")
    with pytest.raises(DataError, match="no query field"):  # no row tells what the columns are
        Hub(str(tmp_path / "nothing"), on_error="skip").load()


def test_fewer_rows_than_are_looked_at_are_no_error_of_older_versions(tmp_path, monkeypatch):
    """`take` of more rows than there are raises IndexError in datasets 3.0 to 5.1."""

    def take(dataset, count):
        return dataset.select(range(count))

    monkeypatch.setattr(datasets.Dataset, "take", take)
    save([{"query": "a", "positive": "A"}], tmp_path / "pairs")
    assert positives(Hub(str(tmp_path / "pairs"), dev_share=0, test_share=0).load()) == {"a": {"A"}}


def test_images_and_sounds_beside_the_texts_are_not_decoded(tmp_path):
    rows = {"one": ["a"], "two": ["A"], "picture": [{"bytes": b"no image", "path": None}]}
    for kind in (datasets.Image, datasets.Audio):
        kept = datasets.Dataset.from_dict(rows).cast_column("picture", kind())
        kept.save_to_disk(str(tmp_path / kind.__name__))
        data = Hub(str(tmp_path / kind.__name__), dev_share=0, test_share=0).load()
        assert positives(data) == {"a": {"A"}}


def test_hub_splits(tmp_path):
    names = {"train": "a", "validation": "b", "test": "c", "extra": "d"}
    splits = {name: datasets.Dataset.from_list([{"query": q, "positive": q}]) for name, q in names.items()}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "set"))
    assert sorted(Hub(str(tmp_path / "set")).load().qrels) == ["dev", "test", "train"]
    assert positives(Hub(str(tmp_path / "set"), split="extra").load()).keys() == {"d", "b", "c"}


@pytest.mark.parametrize("reason", ["offline", "unreachable", "mute"])
def test_hub_fails_at_once_without_a_network(tmp_path, monkeypatch, reason):
    from huggingface_hub import constants

    server = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
    port = server.getsockname()[1] if reason == "mute" else 9
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(hub_access, "PATIENCE", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", reason == "offline")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    for recipe in (Hub("nobody/nothing"), Hub("nobody/nothing", config="pairs"), Hub("a/b", qrels_repo="a/c")):
        start = time.perf_counter()
        with pytest.raises(DataError, match=r"(nobody/nothing|a/).*HF_HUB_OFFLINE is set; download .*data=jsonl"):
            recipe.load()
        assert time.perf_counter() - start < 5
    assert constants.HF_HUB_OFFLINE is (reason == "offline")  # put back
    server.close()


def test_hub_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="x: no such folder; expected"):
        Hub(str(tmp_path / "x")).load()


def test_saved_splits_of_other_names_are_told(tmp_path, caplog):
    rows = datasets.Dataset.from_list([{"query": "q", "positive": "p"}])
    for names in (("training", "testing"), ("train", "extra")):
        datasets.DatasetDict(dict.fromkeys(names, rows)).save_to_disk(str(tmp_path / names[1]))
    with pytest.raises(DataError, match=r"none of its splits is train, dev or test; there are: training, testing"):
        Table(str(tmp_path / "testing")).load()
    assert list(Table(str(tmp_path / "extra"), dev_share=0, test_share=0).load().qrels) == ["train"]
    assert "not read: extra" in caplog.text
