"""Where a study is kept, and what is said of a place that it cannot be kept in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hardneg.config.database_password import PASSWORD
from hardneg.errors import ConfigError, UserError
from hardneg.race.record import LOCKS, Record
from hardneg.runs.study import open_study

pytest.importorskip("optuna")
FACTS = {"storage": None, "study": "race", "sampler": "random", "seed": 1, "pruner": "none"}


def test_what_a_kill_leaves_of_the_log_s_lock_is_seen_by_others(tmp_path, monkeypatch):
    """Optuna waits for the holder as long as the file that the lock links to is not there."""
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    links, link = [], os.symlink
    monkeypatch.setattr(os, "symlink", lambda target, name: (links.append(target), link(target, name)))
    open_study(FACTS, Path("here"))
    assert links and all(os.path.isabs(target) and os.path.exists(target) for target in links)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("here.db", "storage=here.db: give a database's URL, as postgresql+psycopg://"),
        ("oracle://me:secret@host/base", "storage=oracle://me@host/base needs the database's driver"),
        ("sqlite:////nowhere/race.db", "cannot be opened: unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_its_password(tmp_path, monkeypatch, url, says):
    monkeypatch.setenv(PASSWORD, "")  # put back what a URL leaves there
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(UserError, match=re.escape(says)) as told:
        open_study(FACTS | {"storage": url}, tmp_path)
    assert "secret" not in str(told.value)


def test_a_race_in_a_database_is_one_folder_s(tmp_path):
    storage = f"sqlite:///{tmp_path}/race.db"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    def tie(name):
        folder = tmp_path / name
        Record(open_study(FACTS | {"storage": storage}, folder), folder).tie("folder", folder / LOCKS, "of another")

    tie("one")
    tie("one")
    with pytest.raises(ConfigError, match="of another"):
        tie("two")


def test_races_share_a_cache_and_one_keeps_to_its_own(tmp_path):
    """A machine with a cache of its own would find none of the lists that an arm goes on with: the arm was lost."""
    records = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        records.append(Record(open_study(FACTS, tmp_path / name), tmp_path / name))
        records[-1].tie("cache", tmp_path / "cache", "")
    with pytest.raises(ConfigError, match="another cache"):
        records[0].tie("cache", tmp_path / "other", "another cache")
