"""PyDocs: how a harvest is split and cached, how packages are found, and the real standard library."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
from small_library import BODY, SHAPES, function, small_library, write

from hardneg.data import pydocs
from hardneg.data.harvest import Library
from hardneg.data.pydocs import PyDocs, assemble, load, split_of
from hardneg.errors import ConfigError


@pytest.fixture
def library(tmp_path):
    return small_library(tmp_path / "lib")


def file_in(split):
    return next(name for i in range(1000) if split_of(name := f"m{i}.py") == split)


def test_equal_queries_are_one_query_and_equal_documents_one_document(tmp_path):
    train, test = file_in("train"), file_in("test")
    twin = '    """Answer in {}."""\n' + BODY.format(7)
    library = write(
        tmp_path / "lib",
        {
            train: function("one", "Say the same thing.", 1)
            + function("two", "Say the same thing.", 2)
            + function("torn", "Stand in two splits.", 3)
            + "def twin():\n"
            + twin.format("train"),
            test: function("torn", "Stand in two splits.", 4)
            + function("four", "Say another thing.", 5)
            + "def twin():\n"
            + twin.format("test"),
        },
    )
    data = load([library], tmp_path / "cache")
    queries = data.queries.texts.to_pylist()
    assert queries.count("Say the same thing.") == 1
    row = queries.index("Say the same thing.")
    assert len(data.split("train").docs[data.split("train").queries == row]) == 2
    assert len(data.corpus) == 6  # the twins are one document
    assert "Stand in two splits." not in queries and "Answer in test." not in queries
    assert data.skipped["query in two splits"] == 2


def test_cache_is_used_and_named_by_version(library, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = load([library], cache)
    monkeypatch.setattr(pydocs, "harvest", lambda libraries: pytest.fail("harvested again"))
    assert load([library], cache).corpus.fingerprint == first.corpus.fingerprint
    assert load([library], cache).skipped == first.skipped
    with pytest.raises(pytest.fail.Exception):
        load([Library(library.base, library.start, "fake-2")], cache)
    assert [path.suffix for path in cache.iterdir()] == [".jsonl"]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b.replace(b"area", b"aria")])
def test_corrupt_cache_is_rebuilt(library, tmp_path, damage):
    cache = tmp_path / "cache"
    first = load([library], cache)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert load([library], cache).queries.fingerprint == first.queries.fingerprint
    assert path.read_bytes() == whole


def test_same_set_whatever_the_hash_seed(library, tmp_path):
    script = (
        "import sys; from pathlib import Path; from hardneg.data.harvest import Library; "
        "from hardneg.data.pydocs import load; p = Path(sys.argv[1]); "
        "d = load([Library(p, p, 'fake-1')], Path(sys.argv[2])); "
        "print(d.corpus.fingerprint, d.queries.fingerprint, [(k, q.queries.tolist()) for k, q in d.qrels.items()])"
    )
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"  # than this process has
    done = subprocess.run(
        [sys.executable, "-c", script, str(library.start), str(tmp_path / "other")],
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        text=True,
        check=True,
    )
    d = load([Library(library.start, library.start, "fake-1")], tmp_path / "own")
    qrels = [(key, one.queries.tolist()) for key, one in d.qrels.items()]
    assert done.stdout == f"{d.corpus.fingerprint} {d.queries.fingerprint} {qrels}\n"


def test_packages_are_found_but_not_imported(tmp_path, monkeypatch):
    write(tmp_path, {"fakepack/__init__.py": "raise RuntimeError", "fakepack/core.py": SHAPES, "fakemod.py": SHAPES})
    monkeypatch.syspath_prepend(tmp_path)
    found = [pydocs.find_package(name) for name in PyDocs(["fakepack", "fakemod"], str(tmp_path / "c")).packages]
    assert [name for library in found for name, _ in library.files()] == [
        "fakemod.py",
        "fakepack/__init__.py",
        "fakepack/core.py",
    ]
    data = load(found, tmp_path / "cache")
    assert len(data.corpus) == 3  # both hold the same functions
    assert not {"fakepack", "fakemod"} & set(sys.modules)


@pytest.mark.parametrize("name", ["no_such_package", "os.path", "sys", "", "../x"])
def test_package_without_source_is_a_config_error(name):
    with pytest.raises(ConfigError, match=r"data\.packages"):
        PyDocs([name])


def test_other_bad_settings(library, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.packages.*\[torch\]"):
        PyDocs("torch")
    with pytest.raises(ConfigError, match=r"data\.cache"):
        PyDocs(cache="")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"data\.cache"):
        load([library], tmp_path / "file" / "cache")


def test_an_empty_library_has_three_empty_splits():
    data = assemble([])
    assert len(data.corpus) == 0 and [len(qrels) for qrels in data.qrels.values()] == [0, 0, 0]


def test_the_standard_library(tmp_path):
    data = PyDocs(cache=str(tmp_path)).load()
    assert len(data.corpus) > 2500
    ids = data.corpus.ids.to_pylist()
    files = {name: {ids[row].split(":")[0] for row in qrels.docs} for name, qrels in data.qrels.items()}
    assert not files["train"] & files["test"] and not files["train"] & files["dev"] and not files["dev"] & files["test"]
    sizes = {name: len(qrels.query_rows) / len(data.queries) for name, qrels in data.qrels.items()}
    assert 0.7 < sizes["train"] < 0.9 and sizes["dev"] > 0.03 and sizes["test"] > 0.05
    assert not any("/test/" in name or name.startswith("test") or "site-packages" in name for name in ids)
    assert data.skipped["unreadable file"] == 0
    parsed = [ast.parse(text) for text in data.corpus.take(range(300))]
    assert not any(ast.get_docstring(node) for tree in parsed for node in tree.body if hasattr(node, "decorator_list"))
