"""Tables in Markdown have as many cells in a line as in the header, whatever the cells hold."""

from __future__ import annotations

from hardneg.system.markdown_table import markdown_table


def test_a_bar_in_a_cell_does_not_end_it():
    lines = markdown_table(["", "share"], [["a|b", r"c\|d"]], numbers=True)
    assert lines == ["|  | share |", "| --- | ---: |", r"| a\|b | c\|d |"]
