"""Which files a recipe names: what is read, and nothing that only has the name of a setting or lies beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardneg.data.mix import Mix
from hardneg.data.named_files import named_files
from hardneg.data.pydocs import PyDocs
from hardneg.data.readers.beir import Beir
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.toy import Toy


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder of one document."""
    here = tmp_path / "set"
    (here / "qrels").mkdir(parents=True)
    write(here / "corpus.jsonl", [{"_id": "d0", "text": "red apple"}])
    write(here / "queries.jsonl", [{"_id": "q0", "text": "apple"}])
    (here / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    return here


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_set_that_is_made_up_has_none():
    assert list(named_files(Toy())) == []


def test_names_and_prompts_are_no_files(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = list(named_files(Beir(str(folder), name="set")))
    assert own == sorted(path for path in folder.rglob("*") if path.is_file()), "a folder of the set's name is here too"
    told = {"code": {"query": "Find what answers this question. " * 30}}
    assert list(named_files(Mix({"code": Beir(str(folder))}, prompts=told))) == own


def test_the_cache_is_no_file_of_the_set(tmp_path):
    """Else a set would have another name after every run, and be copied into the cache each time."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "harvest.jsonl").write_text("of another set")
    recipe = PyDocs(cache=str(cache))
    assert list(named_files(recipe)) == []
    of_that_name = tmp_path / "other.jsonl"
    write(of_that_name, [{"query": "ask", "positive": "answer"}])
    assert list(named_files(Mix({"cache": Jsonl(str(of_that_name)), "name": recipe}))) == [of_that_name]


@pytest.mark.parametrize("cache", [".", "set"])
def test_data_in_the_folder_of_the_cache_are_data(folder, tmp_path, monkeypatch, cache):
    """HARDNEG_CACHE may be a scratch folder that holds everything."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "other.jsonl", [{"query": "ask", "positive": "answer"}])
    for recipe in (Beir(str(folder)), Jsonl("other.jsonl")):
        assert list(named_files(recipe, Path(cache))) == list(named_files(recipe))


def test_a_folder_called_train_is_not_that_split(tmp_path, monkeypatch):
    """Else a set of the hub would be kept under the name of files that have nothing to do with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "log.txt").write_text("a run")
    assert list(named_files(Hub("owner/set", split="train"))) == []


def test_a_run_in_the_folder_of_the_data_is_no_part_of_them(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = list(named_files(Beir(".")))
    for run in (folder / "outputs" / "now", folder / "multirun" / "now" / "0"):
        (run / ".hydra").mkdir(parents=True)
        (run / "train.log").write_text("it grows")
    (folder / "multirun" / "now" / "multirun.yaml").touch()
    (folder / "multirun" / "now" / "status.json").touch()
    assert list(named_files(Beir("."))) == before
    for log in ("wandb/offline-run-1/run.wandb", "mlflow.db", "mlruns/1/meta", ".aim/index"):  # one for all runs
        (folder / log).parent.mkdir(parents=True, exist_ok=True)
        (folder / log).touch()
    assert list(named_files(Beir("."))) == before
    (folder / ".hydra").mkdir()  # but of what a run itself has written, as pairs that it mined
    assert list(named_files(Beir("."))) == before
