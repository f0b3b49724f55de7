"""A path that leads nowhere, mostly by a slip of the fingers."""

from __future__ import annotations

import pytest

from hardneg.data.readers.folders import MOST_NAMED, nothing_at
from hardneg.data.readers.guess import kind_at
from hardneg.errors import ConfigError


def test_the_name_most_like_it_is_said_also_where_the_listing_is_cut(tmp_path):
    for number in range(MOST_NAMED):
        (tmp_path / f"a{number}.log").touch()
    (tmp_path / "pairs.csv").touch()
    with pytest.raises(ConfigError, match=r"no such file or folder; did you mean pairs\.csv\? .* and 1 more"):
        kind_at(tmp_path / "pairs.cvs")


def test_the_part_of_the_path_that_is_wrong_is_the_one_looked_for(tmp_path):
    (tmp_path / "scifact" / "qrels").mkdir(parents=True)
    said = nothing_at(tmp_path / "sciafct" / "qrels")
    assert said == f"there is no such file or folder; did you mean scifact? {tmp_path} holds: scifact/"


def test_nothing_is_guessed_where_no_name_is_like_it(tmp_path):
    (tmp_path / "pairs.csv").touch()
    assert nothing_at(tmp_path / "nfcorpus") == f"there is no such file or folder; {tmp_path} holds: pairs.csv"
