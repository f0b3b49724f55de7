"""Long work within a training, whose bar is rich's, on a terminal of one last line."""

from __future__ import annotations

import io
import logging
import sys
import time

from rich.console import Console
from rich.progress import Progress as RichProgress

from hardneg.system import progress as module
from hardneg.system.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_beside_richs_bar_another_does_not_move(monkeypatch):
    """Each of its states would become a line: hundreds in an evaluation of a minute."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with RichProgress(console=Console(file=terminal)), progress(3, "embed documents", "texts") as counted:
        for _ in range(3):
            time.sleep(0.12)  # tqdm moves its bar ten times a second
            counted.update()
    assert "embed documents" not in terminal.getvalue() and counted.done == 3


def test_beside_richs_bar_there_is_a_line_every_so_often(monkeypatch, caplog):
    monkeypatch.setattr(module, "EVERY", 0.02)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with caplog.at_level(logging.INFO), RichProgress(console=Console(file=terminal)), progress(3, "embed", "texts"):
        time.sleep(0.1)
    assert caplog.records[0].message.startswith("embed: 0 of 3 texts (0%)")
