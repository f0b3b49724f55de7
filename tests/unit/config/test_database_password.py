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
from hardneg.sweep.check_jobs import Preflight

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


@pytest.mark.parametrize(
    ("url", "bare", "whole"),
    [
        ("postgresql://u@h/db?password=s3%2F", "postgresql://u@h/db", "postgresql://u:s3%2F@h/db"),
        ("postgresql://u@h/db?password=s3&a=b", "postgresql://u@h/db?a=b", "postgresql://u:s3@h/db?a=b"),
        ("postgresql://u@h/db?a=b&password=s3", "postgresql://u@h/db?a=b", "postgresql://u:s3@h/db?a=b"),
        ("postgresql:///db?user=u&password=s3", "postgresql:///db?user=u", "postgresql:///db?password=s3&user=u"),
    ],
)
def test_it_may_stand_in_the_query(url, bare, whole):
    pytest.importorskip("optuna")
    assert without_password(url) == bare and with_password(bare) == whole
    assert words_without_password([f"storage='{url}'", f'"storage={url}"']) == [
        f"storage='{bare}'",
        f'"storage={bare}"',
    ]


def test_an_empty_one_replaces_none(monkeypatch):
    monkeypatch.setenv(PASSWORD, "real")
    assert without_password("postgresql://u:@h/db") == "postgresql://u@h/db" and os.environ[PASSWORD] == "real"


def test_a_single_run_has_lost_that_of_a_yaml_and_a_job_before_it_is_written():
    job = {"config_name": "train", "num": 3}
    app = {"job": job, "sweeper": {"storage": URL}, "overrides": {"hydra": []}}
    config = OmegaConf.create({"hydra": app})
    Preflight().on_run_start(config)
    assert config.hydra.sweeper.storage == BARE and "se%40cret" not in OmegaConf.to_yaml(config)


def test_a_storage_that_the_environment_lacks_is_told(caplog, monkeypatch):
    monkeypatch.delenv("UNSET", raising=False)
    app = {"job": {"config_name": "train"}, "sweeper": {"storage": "${oc.env:UNSET}"}, "sweep": {"dir": "a"}}
    config = OmegaConf.create({"hydra": app})
    for begin in (Preflight().on_run_start, Preflight().on_multirun_start):
        caplog.clear()
        with pytest.raises(SystemExit):
            begin(config)
        assert "UNSET" in caplog.text


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
