"""What a data set is once it is written into the cache."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from hardneg.data import kept_set
from hardneg.data.pair_scores import PairScores
from hardneg.data.ragged import Ragged
from hardneg.data.toy import Toy


def test_truth_comes_back_too(tmp_path):
    data = replace(Toy(docs=30, queries=60, names=8, attributes=4, false_negative_rate=0.5).load(), temper=0.25)
    (tmp_path / "x").mkdir()
    kept_set.write(data, tmp_path / "x")
    again = kept_set.read(tmp_path / "x")
    for field in fields(data.truth):
        assert np.array_equal(getattr(again.truth, field.name), getattr(data.truth, field.name))
    assert again.temper == 0.25


def test_tables_of_numbers_are_those_that_are_written():
    """A field that were added to a table would be lost without a word."""
    assert {field.name for field in fields(Ragged)} == {"offsets", "values"}
    assert {field.name for field in fields(PairScores)} == {"pairs", "scores"}
