"""A command goes on when nobody reads what it says, and shows a question mark for a letter that its reader lacks."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from rich.console import Console

from hardneg import cli
from hardneg.system.standard_output import any_letter, lasting, open_missing


@contextmanager
def closed():
    """Standard output into a pipe whose other end is closed, as behind a `| head` that has seen enough."""
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out := os.fdopen(writing, "w"))
        yield out
        with lasting():  # what it still holds
            sys.stdout.flush()
        out.close()


def test_nothing_fails_when_nobody_reads():
    with closed() as out:
        with lasting():
            for _ in range(3):
                print("a line", flush=True)
                Console().print("a table")
        assert sys.stdout is out


def test_other_errors_are_told(monkeypatch):
    monkeypatch.setattr(sys, "stdout", out := open("/dev/full", "w"))  # noqa: SIM115
    with pytest.raises(OSError, match="No space"), lasting():
        print("a line", flush=True)
    with pytest.raises(OSError, match="No space"):
        out.close()


@pytest.mark.parametrize("say", [lambda: print("a" * 100_000), lambda: Console().print("a table")])
def test_a_command_that_only_shows_something_ends_as_others_do_in_a_pipe(monkeypatch, say):
    monkeypatch.setattr(sys, "argv", ["hardneg", "jobs"])
    monkeypatch.setattr(cli, "_command_module", lambda _: SimpleNamespace(main=lambda _: say()))
    with closed(), pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 141


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_with_files_to_write_writes_them_and_has_its_own_exit_code(monkeypatch, tmp_path, code):
    """`hardneg ab ... --json FILE | head` left no file, and 141 in place of the gate's 1."""

    def compare(_):
        print("a" * 100_000, flush=True)
        Console().print("a table")
        (tmp_path / "report.json").touch()
        print("report.json")
        sys.exit(code)

    monkeypatch.setattr(sys, "argv", ["hardneg", "ab"])
    monkeypatch.setattr(cli, "_command_module", lambda _: SimpleNamespace(main=compare))
    with closed(), pytest.raises(SystemExit) as ended:
        cli.main()
    assert (tmp_path / "report.json").exists()
    assert ended.value.code == code


def test_a_broken_pipe_of_a_runs_own_is_an_error(monkeypatch):
    def run(*_):
        raise BrokenPipeError(32, "a socket of a callback's own")

    monkeypatch.setattr(sys, "argv", ["hardneg", "train"])
    monkeypatch.setattr(cli, "_run", run)
    with pytest.raises(BrokenPipeError, match="a socket"):
        cli.main()


def test_what_was_closed_before_the_start_goes_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_missing()
    with sys.stdout, sys.stderr, lasting(), any_letter():
        Console().print("a table")
        print("a line", file=sys.stderr, flush=True)


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_letter_that_is_not_in_the_encoding(monkeypatch, errors):
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors=errors)
    monkeypatch.setattr(sys, "stdout", out)
    with any_letter():
        print("für 漢字")
    assert out.errors == errors
    out.flush()
    assert out.buffer.getvalue().decode("latin-1") == "für ??\n"
