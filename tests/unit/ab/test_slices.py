"""Slices are named by what they hold, cover every query once, and may be the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardneg.ab.relevance import Judgements, from_data
from hardneg.ab.slices import cut, each, lexical_overlap, slices
from hardneg.errors import UserError
from hardneg.testing.synthetic import make_data


def judged(**more):
    queries = {f"q{i}": " ".join(["word"] * (1 + i % 6)) for i in range(12)}
    labels = {query: {"d": 1} for query in queries}
    return Judgements("made up", labels, queries=queries, docs={"d": "Word."}, **more)


def test_each_query_is_in_one_slice_of_a_kind():
    found = slices(judged(sets={f"q{i}": "a" if i < 3 else "b" for i in range(12)}), {})
    assert list(found) == ["query length", "set"], "all words are in all documents: that tells nothing apart"
    assert list(found["query length"]) == ["1-2 words", "3-4 words", "5-6 words"]
    for parts in found.values():
        np.testing.assert_array_equal(sum(here.astype(int) for here in parts.values()), 1)
    assert [name for name, _ in each(found)][-1] == "set: b"


def test_equal_values_stay_together():
    found = cut(np.array([1.0] * 8 + [2.0, 3.0]), "{low:g}-{high:g}", "{low:g}")
    assert {name: int(here.sum()) for name, here in found.items()} == {"1": 8, "2-3": 2}


def test_shares_that_are_named_alike_are_one_slice():
    """1 of 3 words and 100 of 301 are both 33%: the second took the name of the first, whose queries were gone."""
    texts = {f"q{i}": " ".join(map(str, range(size))) for i, size in enumerate([3, 3, 301, 301, 2, 2])}
    held = {f"d{i}": " ".join(map(str, range(max(size // 3, 1)))) for i, size in enumerate([3, 3, 301, 301, 2, 2])}
    labels = {query: {f"d{query[1:]}": 1} for query in texts}
    found = slices(Judgements("made up", labels, queries=texts, docs=held), {})["words in the document"]
    assert {name: int(here.sum()) for name, here in found.items()} == {"33%": 4, "50%": 2}


def test_lexical_overlap_is_of_the_best_relevant_document():
    asked = Judgements(
        "made up", {"q": {"d": 1, "e": 1, "x": 1}, "r": {"d": 0, "e": 1}}, {"q": "red Red house", "r": "blue"},
        {"d": "a red one", "e": "the red house!"},
    )  # fmt: skip
    assert lexical_overlap(asked).tolist() == [1.0, 0.0]


def test_slices_of_the_users_own(tmp_path):
    path = tmp_path / "kinds.tsv"
    path.write_text("q1\tshort\nq2\tlong\nq3\tshort\nelse\tlong\n")
    found = slices(judged(), {"kind": path})["kind"]
    assert {name: int(here.sum()) for name, here in found.items()} == {"short": 2, "long": 1}
    path.write_text("else\tlong\n")
    with pytest.raises(UserError, match=r"--slice kind=gone: no such file"):
        slices(judged(), {"kind": Path("gone")})
    with pytest.raises(UserError, match=r"--slice kind=.*names none of the 12 queries"):
        slices(judged(), {"kind": path})


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "q0,x\nq1,y\n"), ("a.tsv", "q0\tx\nq1\ty\n"), ("a.json", '{"q0": "x", "q1": "y"}')]
)
def test_the_first_query_is_in_its_slice_where_a_spreadsheet_wrote_the_file(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    found = slices(judged(), {"own": tmp_path / name})["own"]
    assert {part: np.flatnonzero(here).tolist() for part, here in found.items()} == {"x": [0], "y": [1]}


def test_judgements_of_a_loaded_set():
    data = make_data([(0, 1), (0, 2, 0), (2, 1)])
    found = from_data(data, "train")
    assert found.labels == {"q0": {"d1": 1, "d2": 0}, "q2": {"d1": 1}}
    assert found.ids == ["q0", "q2"] and found.docs["d2"] == "d text 2" and "other" not in found.docs
    assert not found.only_relevant and found.weights().tolist() == [1, 1]
    assert found.sharing_positives().tolist() == [0, 0]
