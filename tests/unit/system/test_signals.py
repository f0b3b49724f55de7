"""A process handles what asks it to stop in its own way for a while."""

from __future__ import annotations

import os
import signal

import pytest

from hardneg.system.signals import stopping_by


def test_both_signals_are_handled_and_the_handlers_before_are_put_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    got = []
    with pytest.raises(ValueError, match="an error inside"), stopping_by(lambda number, _: got.append(number)):
        for number in before:
            os.kill(os.getpid(), number)
        raise ValueError("an error inside")
    assert got == list(before)
    assert {number: signal.getsignal(number) for number in before} == before
