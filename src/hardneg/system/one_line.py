"""Texts where there is room for a line of each."""

from __future__ import annotations


def one_line(text: str, width: int, more: str = "...") -> str:
    """Return as much of a text as there is room for, in one line, with `more` at the end where there is more."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - len(more)]}{more}"
