"""How far long work is, where there is no terminal to show it on."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

from hardneg.system import progress as module
from hardneg.system.progress import Progress, clock, progress, track


def test_durations_are_written_as_clocks_show_them():
    shown = {0.0: "0:00", 5.9: "0:05", 61.0: "1:01", 3599.0: "59:59", 3607.0: "1:00:07", 90061.0: "25:01:01"}
    assert {seconds: clock(seconds) for seconds in shown} == shown


def test_the_time_left_is_that_of_the_rest_at_the_pace_so_far(monkeypatch):
    counted = Progress(1000, "mine", "queries")
    monkeypatch.setattr(module.time, "monotonic", lambda: counted.started + 100.001)
    counted.update(200)
    assert str(counted) == "mine: 200 of 1,000 queries (20%) in 1:40, 6:40 left"  # 800 more at 2 a second


def test_what_an_earlier_attempt_did_says_nothing_of_the_pace(monkeypatch):
    counted = Progress(1000, "mine")
    monkeypatch.setattr(module.time, "monotonic", lambda: counted.started + 100.001)
    counted.skip(700)
    assert str(counted) == "mine: 700 of 1,000 (70%) in 1:40, time left unknown"
    counted.update(100)
    assert str(counted) == "mine: 800 of 1,000 (80%) in 1:40, 3:20 left"  # 200 more at 1 a second


def test_without_a_terminal_there_is_a_line_every_so_often_also_while_nothing_moves(monkeypatch, caplog):
    monkeypatch.setattr(module, "EVERY", 0.02)
    with caplog.at_level(logging.INFO), progress(4, "score", "pairs") as counted:
        counted.update(1)
        moved = len(caplog.records)  # on a busy machine a line may come before the first of them, and one as it is done
        until = time.monotonic() + 30
        while len(caplog.records) < moved + 4 and time.monotonic() < until:
            time.sleep(0.02)  # one step that takes several times as long
    told = [record.message for record in caplog.records]
    still = told[moved + 1 :]
    assert len(still) >= 3 and all(re.match(r"score: 1 of 4 pairs \(25%\) in \d+:\d\d, ", line) for line in still)
    time.sleep(0.05)
    assert len(caplog.records) == len(told)  # and none after its end


def test_work_of_a_moment_says_nothing(caplog):
    with caplog.at_level(logging.INFO):
        assert list(track(range(3), "look")) == [0, 1, 2]
    assert not caplog.records


def test_on_a_terminal_a_bar_moves_and_leaves_no_line(monkeypatch, capsys, caplog):
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    with caplog.at_level(logging.INFO), progress(10, "embed", "texts") as counted:
        counted.skip(4)
        counted.update(6)
        assert (counted.bar.n, counted.bar.initial) == (10, 4)
    assert "embed" in capsys.readouterr().err and not caplog.records


def test_other_ranks_show_nothing(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    with progress(10, "embed") as counted:
        counted.update(10)
    assert capsys.readouterr().err == "" and counted.done == 10


def test_all_long_work_uses_it():
    source = Path(module.__file__).parents[1]
    bars = [path.name for path in source.rglob("*.py") if re.search(r"\btqdm\(", path.read_text("utf-8"))]
    assert bars == ["progress.py"]
