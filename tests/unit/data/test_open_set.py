"""A data set that was read before is opened as it was, and is read anew when anything about it changes."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import fields
from pathlib import Path

import hub_layouts
import layouts
import numpy as np
import pytest

from hardneg.data import open_set as module
from hardneg.data.mix import Mix
from hardneg.data.open_set import open_set
from hardneg.data.readers.beir import Beir
from hardneg.data.readers.collection import Collection
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.table import Table
from hardneg.data.tables import Texts
from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet


@pytest.fixture(autouse=True)
def every_set_is_worth_it(monkeypatch):
    monkeypatch.setattr(module, "WORTH_IT", 1)


@pytest.fixture
def folder(tmp_path):
    """Four documents of which two are alike, three queries of which one is a document itself."""
    here = tmp_path / "set"
    (here / "qrels").mkdir(parents=True)
    texts = ["red apple", "green pear ", "green pear", "blue plum"]
    write(here / "corpus.jsonl", [{"_id": f"d{row}", "text": text} for row, text in enumerate(texts)])
    write(here / "queries.jsonl", [{"_id": f"q{row}", "text": text} for row, text in enumerate(["apple", "pear"])]
          + [{"_id": "d3", "text": "blue plum"}])  # fmt: skip
    (here / "qrels" / "train.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq0\td0\t2\nq0\td1\t1\nq1\td1\t2\nd3\td0\t2\n"
    )
    (here / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n")
    return here


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def same(one, other):
    """Compare two values of a data set, tables field by field."""
    if isinstance(one, Texts):
        return one.ids.equals(other.ids) and one.texts.equals(other.texts) and one.fingerprint == other.fingerprint
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__dataclass_fields__") and not hasattr(one, "name"):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other


def recipes(folder, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"query": f"ask {n}", "positive": f"answer {n}", "negative": f"other {n}"} for n in range(30)]
    write(pairs, [{**row, "prompt": "query: "} for row in rows])
    scored = tmp_path / "scored.jsonl"
    write(scored, [{"query": f"q {n}", "pos": [f"a {n}"], "neg": [f"b {n}"], "pos_scores": [2.5], "neg_scores": [n / 7]}
                   for n in range(30)])  # fmt: skip
    beir = Beir(str(folder), relevant_from=2)
    return {
        "beir": beir,
        "pairs": Jsonl(str(pairs)),
        "scored": Jsonl(str(scored), name="with scores"),
        "mix": Mix({"code": beir, "faq": Jsonl(str(scored))}, temper=0.5, prompts={"faq": {"document": "passage: "}}),
    }


@pytest.mark.parametrize("kind", ["beir", "pairs", "scored", "mix"])
def test_what_is_opened_is_what_was_read(kind, folder, tmp_path):
    recipe = recipes(folder, tmp_path)[kind]
    read = recipe.load()
    for opened in (open_set(recipe, tmp_path / "cache"), open_set(recipe, tmp_path / "cache")):
        for field in fields(read):
            assert same(getattr(read, field.name), getattr(opened, field.name)), field.name
        assert opened.fingerprint("train") == read.fingerprint("train")
        for side in ("corpus", "queries"):
            assert np.array_equal(getattr(opened, side).groups, getattr(read, side).groups)
        assert TrainingSet(opened).fingerprint == TrainingSet(read).fingerprint
    assert len([path for path in (tmp_path / "cache" / "data").iterdir() if path.is_dir()]) == 1


def test_it_is_read_once_and_its_texts_stay_on_disk(folder, tmp_path, monkeypatch):
    open_set(Beir(str(folder)), tmp_path / "cache")
    monkeypatch.setattr(Beir, "load", lambda self: pytest.fail("read again"))
    data = open_set(Beir(str(folder)), tmp_path / "cache")
    assert not isinstance(data.split("train").docs.base, type(None)), "an array in memory"
    assert data.corpus.find(["d2", "nobody", "d0"]).tolist() == [2, -1, 0]


@pytest.mark.parametrize("change", ["content", "time", "recipe", "another file", "code"])
def test_whatever_changes_is_read_anew(change, folder, tmp_path, monkeypatch):
    recipe = Beir(str(folder))
    open_set(recipe, tmp_path / "cache")
    if change == "content":
        write(folder / "corpus.jsonl", [{"_id": f"d{row}", "text": f"text {row}"} for row in range(4)])
    elif change == "time":
        os.utime(folder / "corpus.jsonl", (0, 0))
    elif change == "recipe":
        recipe = Beir(str(folder), relevant_from=2)
    elif change == "another file":
        (folder / "qrels" / "dev.tsv").write_text("q1\td1\t1\n")
    else:
        monkeypatch.setattr(module, "code", lambda: "another version")
    open_set(recipe, tmp_path / "cache")
    assert len([path for path in (tmp_path / "cache" / "data").iterdir() if path.is_dir()]) == 2


def test_what_was_skipped_is_said_each_time(folder, tmp_path, caplog):
    with (folder / "qrels" / "train.tsv").open("a") as file:
        file.write("nobody\td0\t1\n")
    for _ in range(2):
        caplog.clear()
        open_set(Beir(str(folder), on_error="skip"), tmp_path / "cache")
        assert caplog.text.count("skipped 1 bad row (unknown query: 1)") == 1


def test_so_is_whatever_else_reading_has_to_say(tmp_path, caplog):
    """Of parts that are missing, as after a download that broke off, the first reading told alone."""
    caplog.set_level("INFO")
    there = tmp_path / "pairs" / "train-00000-of-00002.jsonl"
    there.parent.mkdir()
    write(there, [{"query": f"ask {n}", "positive": f"answer {n}"} for n in range(30)])
    said = []
    for _ in range(2):
        caplog.clear()
        open_set(Table(str(there.parent)), tmp_path / "cache")
        said.append([(one.levelname, one.getMessage(), getattr(one, "in_short", None)) for one in caplog.records])
    first, second = said
    assert first == second and any("1 of its 2 files are there; missing:" in message for _, message, _ in first)
    assert any(short and "are held out of train" in short for _, _, short in first)


def test_what_a_quiet_process_did_not_show_is_kept_for_the_next(folder, tmp_path, caplog):
    """As a rank that leaves it to the first one, or a process that shows warnings alone."""
    with (folder / "qrels" / "train.tsv").open("a") as file:
        file.write("nobody\td0\t1\n")
    log = logging.getLogger("hardneg.data")
    before = log.level, log.propagate
    try:
        log.setLevel(logging.ERROR)
        open_set(Beir(str(folder), on_error="skip"), tmp_path / "cache")
        assert not caplog.records and (log.level, log.propagate) == (logging.ERROR, before[1])
    finally:
        log.setLevel(before[0])
    open_set(Beir(str(folder), on_error="skip"), tmp_path / "cache")
    assert caplog.text.count("skipped 1 bad row (unknown query: 1)") == 1


@pytest.mark.parametrize("where", [".", "set"])
def test_a_cache_in_the_folder_of_the_data_is_no_part_of_them(folder, tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path / where)
    for _ in range(3):
        data = open_set(Beir(str(folder)), Path("cache"))
    assert len(data.corpus) == 4
    assert len([path for path in Path("cache", "data").iterdir() if path.is_dir()]) == 1


def test_a_cache_in_a_collection_is_not_read(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for _ in range(2):
        assert len(open_set(Collection("."), Path("cache")).corpus) == 4


def test_a_folder_behind_a_link_is_looked_at(folder, tmp_path):
    (folder / "qrels").rename(tmp_path / "elsewhere")
    (folder / "qrels").symlink_to(tmp_path / "elsewhere")
    (folder / "qrels" / "back").symlink_to(folder)  # and no further
    before = open_set(Beir(str(folder)), tmp_path / "cache")
    (tmp_path / "elsewhere" / "train.tsv").write_text("q1\td1\t1\n")
    after = open_set(Beir(str(folder)), tmp_path / "cache")
    assert len(before.split("train")) == 4 and len(after.split("train")) == 1


def test_a_file_that_is_named_from_the_path_on_is_looked_at(folder, tmp_path):
    (folder / "corpus.jsonl").rename(tmp_path / "texts.jsonl")
    recipe = Collection(str(folder), documents="../texts.jsonl", qrels={"train": "qrels/train.tsv"})
    before = open_set(recipe, tmp_path / "cache")
    write(tmp_path / "texts.jsonl", [{"_id": f"d{row}", "text": f"new text {row}"} for row in range(4)])
    assert before.corpus[0] == "red apple" and open_set(recipe, tmp_path / "cache").corpus[0] == "new text 0"


def test_a_set_without_files_and_a_small_one_are_read_each_time(folder, tmp_path, monkeypatch):
    open_set(Toy(docs=30, queries=60, names=8, attributes=4), tmp_path / "cache")
    monkeypatch.setattr(module, "WORTH_IT", 1 << 30)
    open_set(Beir(str(folder)), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_equal_texts_have_equal_numbers_also_where_hashes_collide(monkeypatch):
    from hardneg.data import equal_texts

    texts = ["b", " a", "b ", "c", "a", "d"]
    assert Texts.of("012345", texts).groups.tolist() == [0, 1, 0, 2, 1, 3]
    monkeypatch.setattr(equal_texts, "hash", len, raising=False)  # every text of one letter collides
    assert Texts.of("012345", texts).groups.tolist() == [0, 1, 0, 2, 1, 3]


def test_judgements_beside_a_copy_of_the_hub_are_read_as_they_are_now(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    world = layouts.world()
    for config, rows in zip(("corpus", "queries"), hub_layouts.texts(world), strict=True):
        layouts.as_saved(tmp_path / "set" / config, rows)
    monkeypatch.chdir(tmp_path)
    for judged in (30, 20):
        rows = datasets.Dataset.from_list(hub_layouts.judged(world)[:judged])
        datasets.DatasetDict({"test": rows}).save_to_disk(str(tmp_path / "set-qrels"))
        for repo in (str(tmp_path / "set"), "set", "./set/"):
            assert len(open_set(Hub(repo), tmp_path / "cache").qrels["test"]) == judged
            assert len(open_set(Mix({"one": Hub(repo)}), tmp_path / "cache").qrels["test"]) == judged
