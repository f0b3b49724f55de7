"""Log lines beside a bar, on a terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import sys

import pytest
from tqdm import tqdm

from hardneg.system.screen import ONLY_IN_FILE, Screen, in_short


@pytest.fixture
def log():
    made, handler = logging.Logger("screen"), Screen()
    made.addHandler(handler)
    return made


def shown(written: str) -> list[str]:
    """What a terminal shows of it: a carriage return goes to the line's beginning and over what is there."""
    lines = []
    for line in written.split("\n"):
        cells = ""
        for part in line.replace("\x1b[K", "").split("\r"):
            cells = part + cells[len(part) :]
        lines.append(cells.rstrip())
    return lines


def test_a_line_stands_above_the_bar(log, monkeypatch):
    screen = io.StringIO()
    with contextlib.redirect_stderr(screen), tqdm(total=3, desc="mine", leave=False, mininterval=0) as bar:
        bar.update(1)
        log.warning("epoch 1")
        bar.update(1)
        during = shown(screen.getvalue())
    assert during[0] == "epoch 1" and during[1].startswith("mine:  67%")
    assert shown(screen.getvalue()) == ["epoch 1", ""]  # and the bar leaves nothing


def test_it_follows_whoever_takes_the_place_of_standard_error(log):
    first, second = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(first):
        log.warning("one")
        with contextlib.redirect_stderr(second):
            log.warning("two")
    assert (first.getvalue(), second.getvalue()) == ("one\n", "two\n")


def test_a_terminals_echo_of_ctrl_c_is_written_over(log, monkeypatch):
    import sys

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "__stderr__", screen)
    screen.write("^C")
    log.warning("stopping")
    assert screen.getvalue() == "^C\r\x1b[Kstopping\n"


def test_a_message_for_the_file_is_not_on_the_screen(log, monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := io.StringIO())
    log.addHandler(logging.StreamHandler(file := io.StringIO()))
    log.info("where it was", extra=ONLY_IN_FILE)
    assert (screen.getvalue(), file.getvalue()) == ("", "where it was\n")


def test_a_long_message_is_short_on_the_screen(log, monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := io.StringIO())
    log.addHandler(logging.StreamHandler(file := io.StringIO()))
    log.info("%d of %d are cut", 1, 4, extra=in_short("25% are cut"))
    assert (screen.getvalue(), file.getvalue()) == ("25% are cut\n", "1 of 4 are cut\n")
