"""The processes that tests start warm are like those that Python starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import warm


def test_a_process_with_a_session_of_its_own_has_it_when_its_number_is_known(zygote, monkeypatch):
    """Jupyter sends the kernel's group a signal: were it still the tests' own, they would be interrupted."""
    monkeypatch.setattr(warm.WarmPopen, "zygote", zygote, raising=False)
    words = [sys.executable, "-m", "hardneg.cli", "cache", "--help"]
    for _ in range(10):
        started = warm.WarmPopen(words, stdout=subprocess.DEVNULL, start_new_session=True)
        assert os.getpgid(started.pid) == started.pid != os.getpgid(0)
        os.killpg(started.pid, signal.SIGKILL)
        assert started.wait() in (0, -signal.SIGKILL)
