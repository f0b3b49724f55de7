"""What `split.test` and `evaluate.also` may say, by words alone."""

from __future__ import annotations

import json

import pytest

from hardneg.config import classes
from hardneg.data.other_sets import others, resolved, splits_of
from hardneg.errors import ConfigError


@pytest.fixture
def beir(tmp_path):
    """A folder in BEIR layout with one query."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "d", "title": "", "text": "words"}))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "word"}))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    return folder


def test_splits_are_none_one_or_several():
    assert splits_of(None) == [] and splits_of("test") == ["test"] and splits_of(["test", "hard"]) == ["test", "hard"]
    for wrong in (["test", "test"], [1], [""]):
        with pytest.raises(ConfigError, match=r"split\.test"):
            splits_of(wrong)


def test_a_path_is_guessed_a_kind_may_be_said_and_a_whole_config_is_taken(beir):
    whole = {"_target_": "hardneg.data.readers.beir.Beir", "path": str(beir), "test": "hard"}
    found = others({"a": {"path": str(beir)}, "b": {"data": "toy", "docs": 50}, "c": whole})
    assert found["a"][0]["_target_"].endswith("Beir") and found["a"][1] == "test" and found["c"][1] == "hard"
    assert found["b"][0]["docs"] == 50 and found["b"][0]["queries"] == 600 and "test" not in found["c"][0]
    data = classes.build(found["a"][0]).load()
    assert data.name == "tiny" and len(data.split("test").query_rows) == 1
    assert resolved({"evaluate": {"also": {"a": {"path": str(beir)}}}})["evaluate"]["also"]["a"] == found["a"][0]


@pytest.mark.parametrize("mark", ["corpus", "NanoNQ"])
def test_a_path_may_be_a_copy_of_a_repository(tmp_path, mark):
    """Its reader calls the place repo, as it does beside data.path."""
    splits = "" if mark == "corpus" else f"  data_files:\n  - split: {mark}\n"
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: corpus\n{splits}---\n")
    node, split = others({"a": {"path": str(tmp_path), "own_documents": "keep"}})["a"]
    assert node["_target_"].endswith("Hub" if mark == "corpus" else "NanoBeir") and split == "test"
    assert classes.build(node).repo == str(tmp_path) and classes.build(node).own_documents == "keep"


@pytest.mark.parametrize(
    "also, said",
    [
        ({"a": {"path": "gone"}}, r"evaluate\.also\.a: path=gone: there is no such"),
        ({"a": {}}, r"evaluate\.also\.a: give its path"),
        ({"a": "DIR"}, r"write \{path: DIR\}"),
        ({"a": {"data": "bier", "path": "."}}, "bier is not a kind of data; the kinds are beir, "),
        ({"a b": {"path": "."}}, "cannot be part of a metric's name"),
        ({"a": {"data": "toy", "test": ["x", "y"]}}, "must be one split"),
    ],
)
def test_what_cannot_be_a_set_is_named(also, said):
    with pytest.raises(ConfigError, match=said):
        others(also)
