"""The shared cache: whole folders or none, built once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hardneg.system.cache import built_once, fingerprint


def write(text):
    return lambda folder: (folder / "file").write_text(text) and None


def test_the_second_call_builds_nothing(tmp_path):
    for text in ("first", "second"):
        assert (built_once(tmp_path / "a" / "b", write(text)) / "file").read_text() == "first"


def test_a_crash_while_building_leaves_nothing_and_the_next_call_works(tmp_path):
    def crash(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        built_once(tmp_path / "it", crash)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []
    assert [path.name for path in built_once(tmp_path / "it", write("whole")).iterdir()] == ["file"]


def test_what_a_killed_builder_left_is_swept_and_others_are_left_alone(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from hardneg.system.cache import built_once\n"
        "def die(folder): (folder / 'half').write_text('x'); os._exit(9)\n"
        "built_once(Path(sys.argv[1]), die)"
    )
    folder = tmp_path / "it"
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 9
    (tmp_path / "other.tmp-1234").mkdir()
    assert not folder.exists() and list(tmp_path.glob("it.tmp-*"))
    built_once(folder, write("whole"))
    assert not list(tmp_path.glob("it.tmp-*")) and list(tmp_path.glob("other.tmp-*"))


def test_a_build_may_use_the_cache_itself(tmp_path):
    def outer(folder):
        inner = built_once(tmp_path / "inner", write("inner"))
        (folder / "file").write_text((inner / "file").read_text() + " and outer")

    assert (built_once(tmp_path / "outer", outer) / "file").read_text() == "inner and outer"


def test_a_fingerprint_is_of_values_and_not_of_their_order():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    names = [fingerprint(value) for value in ({"a": 1}, {"a": 2}, {"a": "1"}, {"a": None}, [1, 2], [2, 1], {"a": 1.0})]
    assert len(set(names)) == len(names)
    assert os.sep not in names[0] and len(names[0]) == 24


def test_all_files_are_durable_before_the_name(tmp_path, monkeypatch):
    """Also those in folders of the folder, as qrels/train.tsv of data that were handed in."""
    synced, sync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.add(os.fstat(handle).st_ino) or sync(handle))

    def build(folder):
        (folder / "qrels").mkdir()
        (folder / "qrels" / "train.tsv").write_text("x")

    made = built_once(tmp_path / "it", build)
    assert {path.stat().st_ino for path in (made, made / "qrels", made / "qrels" / "train.tsv")} <= synced
