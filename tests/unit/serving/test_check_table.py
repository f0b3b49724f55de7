"""What `hardneg check` prints."""

from __future__ import annotations

from hardneg.commands.check import show
from hardneg.serving.freshness import CheckResult, Freshness


def test_its_table_has_no_empty_row_of_headings(capsys):
    show(Freshness("0a7b", "2026-11-29T20:47:00", (CheckResult("count", True, "3 vectors are stored"),), ""))
    assert sum(line.startswith(("│", "┃")) for line in capsys.readouterr().out.splitlines()) == 1
