"""Harvest: which functions are read, their sentences and their sources."""

from __future__ import annotations

import textwrap

import pytest
from small_library import BODY, small_library, write

from hardneg.data.harvest import first_sentence
from hardneg.data.pydocs import load


@pytest.fixture
def library(tmp_path):
    return small_library(tmp_path / "lib")


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
