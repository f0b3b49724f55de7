"""The password of a study's database stands in no word, config or message, and the database is asked with it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from hardneg import cli
from hardneg.config.database_password import (
    PASSWORD,
    drop_from_config,
    with_password,
    without_password,
    words_without_password,
)

URL = "postgresql+psycopg://me:se%40cret%2F@host:5432/base?sslmode=require"
BARE = "postgresql+psycopg://me@host:5432/base?sslmode=require"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv(PASSWORD, "")  # put back whatever a test does
    monkeypatch.delenv(PASSWORD)


def test_the_database_is_asked_with_the_password_that_its_url_had():
    pytest.importorskip("optuna")  # which needs SQLAlchemy
    assert with_password(BARE) == BARE, "as ~/.pgpass may have it"
    assert without_password(URL) == BARE and os.environ[PASSWORD] == "se@cret/"
    assert with_password(BARE) == URL
    assert with_password("sqlite:////tmp/a.db") == "sqlite:////tmp/a.db"


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite:///C:/a@b.db", "mysql+pymysql://me@host/base", "here.db"])
def test_a_url_without_one_stays(url):
    assert without_password(url) == url and PASSWORD not in os.environ


def test_words_have_it_in_storage_only():
    words = [f"storage={URL}", f"hydra.sweeper.storage='{URL}'", "data.path=s3://me:key@host/a", "-m"]
    assert words_without_password(words) == [f"storage={BARE}", f"hydra.sweeper.storage='{BARE}'", *words[2:]]


def test_a_command_has_lost_it_before_anything_reads_its_words(monkeypatch):
    seen = []
    race = SimpleNamespace(command_of=lambda words: seen.append(words) or ("jobs", []), main=seen.append)
    monkeypatch.setattr(cli, "_command_module", lambda name: race)
    with cli.in_process("race", "data=toy", f"storage={URL}"):
        cli.main()
        assert cli.sys.argv[1:] == ["race", "data=toy", f"storage={BARE}"] and os.environ[PASSWORD] == "se@cret/"
    assert seen[0] == ["data=toy", f"storage={BARE}"] and PASSWORD not in os.environ


def test_a_sweep_has_lost_that_of_a_yaml_and_so_have_its_jobs():
    app = {"sweeper": {"storage": URL}, "overrides": {"hydra": ["hydra.mode=MULTIRUN"]}}
    config = OmegaConf.create({"hydra": app})
    OmegaConf.set_readonly(config, True)
    drop_from_config(config)
    assert config.hydra.sweeper.storage == BARE and os.environ[PASSWORD] == "se@cret/"
    assert config.hydra.overrides.hydra == ["hydra.mode=MULTIRUN", f"hydra.sweeper.storage='{BARE}'"]
    for sweeper in ({}, {"storage": None}, {"storage": BARE}):
        config = OmegaConf.create({"hydra": {**app, "sweeper": sweeper}})
        drop_from_config(config)
        assert config.hydra.overrides.hydra == ["hydra.mode=MULTIRUN"]
