"""Where results come from, as summary.json says it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest
from confs import compose

import hardneg
from hardneg.runs.provenance import commit_of, data_path, provenance


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "code" / "inner").mkdir(parents=True)
    (tmp_path / "code" / "a.py").write_text("1")
    for words in (["init", "-q"], ["add", "a.py"], [*author, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path / "code"), *words], check=True)
    return tmp_path / "code"


def head(folder):
    asked = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_the_working_directorys_and_says_where_files_differ(repository, tmp_path):
    assert commit_of(repository / "inner", tmp_path) == (head(repository), str(repository.resolve()))
    (repository / "a.py").write_text("2")
    assert commit_of(repository)[0] == f"{head(repository)}-dirty"


def test_it_is_the_packages_where_one_works_elsewhere(repository, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    assert commit_of(tmp_path / "elsewhere", repository)[0] == head(repository)
    assert commit_of(tmp_path / "elsewhere") == (None, None)


def test_without_git_nothing_is_said(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit_of(repository) == (None, None)


def test_what_a_summary_names(repository, monkeypatch):
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "argv", ["/bin/hardneg", "train", "data=beir", "data.path=my sets"])
    told = provenance(compose("data=beir", "data.path=my sets"))
    assert told.pop("hardneg") == hardneg.__version__
    assert told["packages"].pop("torch") == version("torch") and "python" in told.pop("packages")
    assert told == {
        "data_path": str(repository / "my sets"),
        "command": "hardneg train data=beir 'data.path=my sets'",
        "host": socket.gethostname(),
        "commit": head(repository),
        "repository": str(repository.resolve()),
    }


def test_data_of_several_sets_and_of_none():
    assert data_path({"sets": {"a": {"path": "/x"}, "b": {"repo": "BeIR/nq"}, "c": {}}}) == {
        "a": "/x",
        "b": "BeIR/nq",
        "c": None,
    }
