"""Work that is done while its block goes on."""

from __future__ import annotations

import logging
import time

from hardneg.system import progress as module
from hardneg.system.progress import progress


def test_what_is_done_says_no_more_of_itself(monkeypatch, caplog):
    """The last evaluation of a run lies within its training: that said every minute that 0:00 were left."""
    monkeypatch.setattr(module, "EVERY", 0.02)
    with caplog.at_level(logging.INFO), progress(20, "train", "steps") as counted:
        counted.skip(5)
        counted.update(15)
        time.sleep(0.1)
    assert not caplog.records
