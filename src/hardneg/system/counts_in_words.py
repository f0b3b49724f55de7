"""Numbers of things in words."""

from __future__ import annotations

QUERIES = ("query", "queries")
TRAINING_QUERIES = ("training query", "training queries")


def counted(number: int, one: str, many: str = "") -> str:
    """Say how many there are, as in "1 query" and "1,234 queries"; `many` empty: `one` and an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
