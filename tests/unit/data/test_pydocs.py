"""PyDocs: what is harvested from a small library, how it is split and cached, and that nothing is imported."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap

import pytest

from hardneg.data import pydocs
from hardneg.data.harvest import Library, first_sentence
from hardneg.data.pydocs import PyDocs, assemble, load, split_of
from hardneg.errors import ConfigError

BODY = "    a = {0}\n    b = a + 1\n    return b\n"

SHAPES = '''
raise RuntimeError("imported")

class Box:
    """Not a function, so not harvested."""

    @property
    def area(self):
        """Return the area of
        the box.  More words that are not the query.

        >>> never
        """
        # why: a comment stays
        width, height = self.size

        return (
            width * height
        )

    def __len__(self):
        """Special methods are left out."""
        a = 1
        b = 2
        return a + b

    def outer(self):
        """Hand out a counter of calls."""
        text = """
left column
"""
        def inner():
            """An inner sentence must not leak."""
            return text
        return inner

def odd(): "A docstring on the def line."; x = 1; y = "ü"; return x
async def fetch(url):
    """Fetch the page, e.g. a cached one. Then return."""
    page = await url
    text = page.text
    return text

def short():
    """Return nothing of interest here."""
    return 1

def bare():
    """A function with an empty body."""

def signature(a, b):
    """signature(a, b) -> list"""
    a = 1
    b = 2
    return [a, b]

def two_words():
    """Two words"""
    a = 1
    b = 2
    return a
'''


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Library(root, root, "fake-1")


def function(name, sentence, number=0):
    return f'def {name}():\n    """{sentence}"""\n' + BODY.format(number)


def file_in(split):
    return next(name for i in range(1000) if split_of(name := f"{split}_{i}.py") == split)


@pytest.fixture
def library(tmp_path):
    return write(
        tmp_path / "lib",
        {
            "shapes.py": SHAPES,
            "pkg/more.py": function("more", "Compute a little more."),
            "pkg/tests/helper.py": function("helper", "Help with the tests."),
            "pkg/test_more.py": function("case", "Test a little more."),
            "site-packages/other.py": function("other", "Belongs to somebody else."),
            "broken.py": "def (:\n",
            "bytes.py": b"x = '\xff'\n",
            "nul.py": b"x = 1\0\n",
            "latin.py": b"# coding: latin-1\n" + function("latin", "Décode ce fichier.").encode("latin-1"),
        },
    )


def test_harvests_sentences_and_sources_without_importing(library, tmp_path):
    data = load([library], tmp_path / "cache")
    docs = dict(zip(data.corpus.ids.to_pylist(), data.corpus.texts.to_pylist(), strict=True))
    assert {name.split(":")[1] for name in docs} == {"Box.area", "Box.outer", "fetch", "more", "latin"}
    assert set(data.queries.texts.to_pylist()) == {
        "Return the area of the box.",
        "Hand out a counter of calls.",
        "Fetch the page, e.g. a cached one.",
        "Compute a little more.",
        "Décode ce fichier.",
    }
    assert data.skipped["unreadable file"] == 3
    assert set(data.qrels) == {"train", "dev", "test"}
    assert all(f"q:{name}" in data.queries.rows for name in docs)


def test_documents_are_sources_without_docstrings(library, tmp_path):
    data = load([library], tmp_path / "cache")
    docs = {name.split(":")[1]: data.corpus[row] for name, row in data.corpus.rows.items()}
    assert docs["Box.area"] == textwrap.dedent("""\
        @property
        def area(self):
            # why: a comment stays
            width, height = self.size

            return (
                width * height
            )""")
    assert "leak" not in docs["Box.outer"] and "\nleft column\n" in docs["Box.outer"]
    assert docs["Box.outer"].startswith("def outer(self):\n    text")
    assert docs["more"] == "def more():\n" + BODY.format(0).rstrip()


def test_a_docstring_that_shares_its_line_is_cut_out(tmp_path):
    source = 'def odd(): "Say something on one line."; x = "ü"; return [x,\n  1,\n  2,\n  3]\n'
    data = load([write(tmp_path / "lib", {"odd.py": source})], tmp_path / "cache")
    assert data.corpus.texts.to_pylist() == ['def odd(): x = "ü"; return [x,\n  1,\n  2,\n  3]']


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Do it now! And more.", "Do it now!"),
        ("Use a file, i.e. a path. Done.", "Use a file, i.e. a path."),
        ("No stop at all\n\nNext paragraph.", "No stop at all"),
        ("Read version 3.11 of it. Then", "Read version 3.11 of it."),
        ("Wait ... and see what happens", "Wait ... and see what happens"),
        ("A list of things\n- one\n- two", "A list of things"),
        ("f(x, y, z)", None),
        ("S.find(sub, start) -> int", None),
        ("--- *** +++ ===", None),
        ("Too short.", None),
        ("A lone \ud800 surrogate here", None),
    ],
)
def test_first_sentence(docstring, sentence):
    assert first_sentence(docstring) == sentence


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
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script, str(library.start), str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != ""


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
