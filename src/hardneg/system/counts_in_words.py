"""Numbers of things in words."""

from __future__ import annotations

from collections.abc import Iterable

QUERIES = ("query", "queries")
TRAINING_QUERIES = ("training query", "training queries")


def counted(number: int, one: str, many: str = "") -> str:
    """Say how many there are, as in "1 query" and "1,234 queries"; `many` empty: `one` and an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(names: Iterable[str], most: int = 30) -> str:
    """Name things, with commas, as in "a, b and 9,998 more": a message must not be hidden by what there is."""
    named = list(names)
    more = f" and {len(named) - most:,} more" if len(named) > most else ""
    return (", ".join(named[:most]) or "none") + more
