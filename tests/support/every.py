"""How many of many alike cases a run of the tests takes; all of them with HARDNEG_TEST_EVERY=1."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import cycle, product
from typing import TypeVar

EVERY = bool(os.environ.get("HARDNEG_TEST_EVERY"))  # minutes more, for a change to what all parts share
One, Other = TypeVar("One"), TypeVar("Other")


def some(cases: Sequence[One], count: int = 1) -> list[One]:
    """The first so many; with HARDNEG_TEST_EVERY all of them."""
    return list(cases if EVERY else cases[:count])


def in_turn(cases: Sequence[One], others: Sequence[Other]) -> list[tuple[One, Other]]:
    """Each case with one of the others, these in turn; with HARDNEG_TEST_EVERY each with each."""
    return list(product(cases, others)) if EVERY else list(zip(cases, cycle(others)))
