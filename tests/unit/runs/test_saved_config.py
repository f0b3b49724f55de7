"""A run's config read back: its paths lead to where they led when it was started."""

from __future__ import annotations

import json

import pytest

from hardneg.ab.systems import _of_folder
from hardneg.errors import UserError
from hardneg.runs.saved_config import open_data, read_config


@pytest.fixture
def started(tmp_path):
    """A run that was started in a folder `home`, where its data are."""
    data = tmp_path / "home" / "sets" / "one"
    (data / "qrels").mkdir(parents=True)
    for name, text in (("corpus", "a text"), ("queries", "a query")):
        (data / f"{name}.jsonl").write_text(json.dumps({"_id": name[0], "text": text}))
    (data / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tc\t1\n")
    config = {"data": {"_target_": "hardneg.data.readers.beir.Beir", "path": "sets/one"}, "split": {"test": "test"}}
    write(tmp_path / "run", {**config, "cache": "sets"}, tmp_path / "home")
    return tmp_path / "run"


def write(folder, config, cwd):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(json.dumps(config))
    (folder / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": {"runtime": {"cwd": str(cwd)}}}))


def test_relative_paths_are_those_of_the_directory_it_was_started_in(started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg, home = read_config(started), tmp_path / "home"
    assert (cfg.data.path, cfg.cache) == (str(home / "sets" / "one"), str(home / "sets"))
    assert open_data(started).corpus[0] == "a text"
    assert _of_folder([started]).labels == {"q": {"c": 1}}


def test_a_copy_of_a_repository_is_that_of_the_directory_too_and_a_name_on_the_hub_stays(tmp_path):
    (tmp_path / "home" / "copies" / "nano").mkdir(parents=True)
    sets = {"here": {"repo": "copies/nano", "qrels_repo": "copies"}, "hub": {"repo": "BeIR/scifact", "path": None}}
    also = {"faq": {"repo": "copies"}}
    write(tmp_path / "run", {"data": {"sets": sets}, "evaluate": {"also": also}}, tmp_path / "home")
    cfg, home = read_config(tmp_path / "run"), tmp_path / "home"
    assert cfg.data.sets.here == {"repo": str(home / "copies" / "nano"), "qrels_repo": str(home / "copies")}
    assert cfg.data.sets.hub.repo == "BeIR/scifact" and cfg.evaluate.also.faq.repo == str(home / "copies")


def test_what_is_not_there_any_more_is_looked_for_from_here(started, tmp_path, monkeypatch):
    (tmp_path / "home").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert read_config(started).data.path == "sets/one" and open_data(started).corpus[0] == "a text"


def test_sets_of_a_mix_have_paths_and_what_is_absolute_or_made_of_others_stays(tmp_path):
    (tmp_path / "home" / "b").mkdir(parents=True)
    sets = {"one": {"path": "b"}, "two": {"path": str(tmp_path)}, "three": {"repo": "x/y"}}
    write(
        tmp_path / "run", {"cache": "${cache_folder:}", "data": {"sets": sets, "cache": "${cache}"}}, tmp_path / "home"
    )
    cfg = read_config(tmp_path / "run")
    assert [cfg.data.sets[name].get("path") for name in sets] == [str(tmp_path / "home" / "b"), str(tmp_path), None]
    assert cfg.data.cache == cfg.cache != str(tmp_path / "home")
    with pytest.raises(UserError, match="is not a run folder"):
        read_config(tmp_path)
