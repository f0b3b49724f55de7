"""What is known of a race, also after a kill at any moment."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

from hardneg.errors import ConfigError
from hardneg.race import record as record_module
from hardneg.race.decide import Look
from hardneg.race.record import Record


@pytest.fixture
def record(tmp_path):
    record = Record(optuna.create_study(direction="maximize"), tmp_path)
    record.enter({"in_batch": [], "random": [], "bm25": []}, {"budget": "1m"})
    for name, mean in (("in_batch", 0.5), ("random", 0.2), ("bm25", 0.6)):
        record.report(name, 1, mean, seconds=1.0)
    return record


def test_a_look_whose_stops_a_kill_has_cut_off_is_carried_out_by_the_next_process(record, tmp_path):
    seen = Look(1, "bm25", 0.01, {"random": 0.001}, ["random"], [], ["in_batch", "bm25"])
    assert record.stopped(1) == []
    record.looked(seen)
    again = Record(record.study, tmp_path)  # the first was killed here
    assert again.look(1) == seen and again.racing() == ["in_batch", "random", "bm25"]
    assert again.stopped(1) == ["random"]
    again.stop("random")
    assert again.racing() == ["in_batch", "bm25"] and again.stopped(1) == []
    again.report("bm25", 2, 0.7, seconds=1.0)
    assert again.stopped(1) == again.stopped(2) == []


def test_what_checks_took_is_spent_once(record):
    assert record.spent() == 3.0
    for seconds in (7.0, 9.0):  # of the first process, and of one that joins
        record.keep_first("seconds_checks", seconds)
    assert record.spent() == 10.0


def test_races_that_first_use_a_cache_at_once_are_tied_to_one_name(tmp_path, monkeypatch):
    """Each has a lock of its own, and none may meet a file of the other's that is not written yet."""
    races = []
    for name in "abcd":
        (tmp_path / name).mkdir()
        races.append(Record(optuna.create_study(direction="maximize"), tmp_path / name))
    slow = record_module.uuid4
    monkeypatch.setattr(record_module, "uuid4", lambda: time.sleep(0.05) or slow())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda race: race.tie("cache", tmp_path / "cache", "another"), races))
    (name,) = {race.kept("cache") for race in races}
    assert name == (tmp_path / "cache" / record_module.TIE).read_text() != ""
    races[0].tie("cache", tmp_path / "cache", "another")
    with pytest.raises(ConfigError, match="another"):
        races[0].tie("cache", tmp_path / "other", "another")


def test_a_name_that_a_kill_has_left_empty_is_written(record, tmp_path):
    (tmp_path / record_module.TIE).touch()
    record.tie("cache", tmp_path, "another")
    assert record.kept("cache") == (tmp_path / record_module.TIE).read_text() != ""
