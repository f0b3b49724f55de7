"""Tables: texts by row and judgements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from hardneg.data.tables import Texts
from hardneg.errors import DataError
from hardneg.testing.synthetic import make_data, make_qrels, make_texts


def test_texts_by_row():
    texts = Texts.of(["b", "a", "c"], ["x", "", "żółw"])
    assert len(texts) == 3 and texts[2] == "żółw" and texts.rows == {"b": 0, "a": 1, "c": 2}
    assert texts.take(np.array([2, 0, 2])) == ["żółw", "x", "żółw"]


def test_an_id_that_appears_twice_is_named():
    with pytest.raises(DataError, match="'b' appears twice"):
        Texts.of(["a", "b", "c", "b"], list("wxyz"))


def test_groups_are_equal_texts_whatever_blanks_surround_them():
    groups = make_texts(["x", "y", " x\n", "X", "y", "a b", "a  b"]).groups
    assert groups[0] == groups[2] and groups[1] == groups[4] and len(set(groups.tolist())) == 5


def test_a_fingerprint_sees_ids_texts_and_where_one_ends():
    base = Texts.of(["a", "b"], ["xy", "z"])
    others = [
        (["a", "c"], ["xy", "z"]),
        (["a", "b"], ["xy", "y"]),
        (["a", "b"], ["x", "yz"]),
        (["ab", ""], ["xy", "z"]),
    ]
    assert base.fingerprint == Texts.of(["a", "b"], ["xy", "z"]).fingerprint
    assert base.fingerprint not in [Texts.of(*other).fingerprint for other in others]


def test_two_parts_of_one_column_have_two_fingerprints():
    whole = pa.array(["a", "b", "c"], pa.large_string())
    parts = [Texts(whole.slice(start, 2), whole.slice(start, 2)) for start in (0, 1)]
    assert parts[0].take([0, 1]) == ["a", "b"] and parts[1].take([0, 1]) == ["b", "c"]
    assert parts[0].fingerprint != parts[1].fingerprint


def test_only_positive_judgements_are_relevant():
    qrels = make_qrels([(1, 5, 1), (0, 6, 0), (2, 7, -1), (0, 8, 2)])
    assert len(qrels) == 4 and qrels.relevant.docs.tolist() == [5, 8] and qrels.query_rows.tolist() == [0, 1]


def test_a_split_that_is_not_there_is_named_with_those_that_are():
    data = make_data([(0, 0)], dev=[(1, 1)])
    assert len(data.split("dev")) == 1
    with pytest.raises(DataError, match=r"'tiny' has no split 'test'; it has dev, train"):
        data.split("test")


def test_queries_are_held_out_of_train_only_where_there_is_one():
    """A set that is all test, such as NanoBEIR's, was advised to hold queries out of a split that it lacks."""
    data = make_data([(0, 0)])
    for there, missing in (("train", "test"), ("test", "train")):
        alone = replace(data, qrels={there: data.qrels["train"]})
        with pytest.raises(DataError, match=f"no split '{missing}'") as refused:
            alone.split(missing)
        assert ("data.dev_share" in str(refused.value)) == (there == "train")
