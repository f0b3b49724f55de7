"""Ctrl-C while a command that was interrupted already ends."""

from __future__ import annotations

import signal

import pytest

from hardneg.cli import _told
from hardneg.system.as_before import as_before


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, SystemExit(130)])
def test_another_one_ends_the_process_at_once(stopped):
    """Python's exit takes seconds, in which it showed a traceback; a process that goes on has its handler again."""
    before = signal.getsignal(signal.SIGINT)
    with as_before():
        with pytest.raises(SystemExit) as ended, _told("train"):
            raise stopped
        assert ended.value.code == 130 and signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("code", [0, 1, 2])
def test_after_another_end_it_does_what_it_did(code):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit), _told("train"):
        raise SystemExit(code)
    assert signal.getsignal(signal.SIGINT) is before
