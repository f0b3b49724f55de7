"""A path that leads nowhere, mostly by a slip of the fingers."""

from __future__ import annotations

from pathlib import Path

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


def test_a_link_that_leads_nowhere_is_not_taken_for_what_was_meant(tmp_path):
    (tmp_path / "pairs.csv").symlink_to(tmp_path / "gone.csv")
    assert nothing_at(tmp_path / "pairs.csv") == f"there is no such file or folder; {tmp_path} holds: pairs.csv"


def test_a_folder_that_we_may_not_list_ends_in_the_plain_sentence(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert nothing_at(tmp_path / "pairs.csv") == "there is no such file or folder"
