"""Numbers of things in words."""

from __future__ import annotations

import pytest

from hardneg.system.counts_in_words import QUERIES, counted, listed
from hardneg.training.begin import describe


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, QUERIES, "0 queries"),
        (1, QUERIES, "1 query"),
        (2345, QUERIES, "2,345 queries"),
        (1, ("document",), "1 document"),
        (2, ("document",), "2 documents"),
    ],
)
def test_one_is_not_several(number, words, said):
    assert counted(number, *words) == said


def test_what_is_trained_on(toy):
    assert describe(toy).startswith("data toy: 120 documents; queries: train 36, dev ")


def test_many_names_are_not_all_listed():
    """A table of 10,000 columns had all of them in one line of error."""
    assert listed([]) == "none" and listed(["a", "b"]) == "a, b"
    assert listed((str(number) for number in range(10_000)), 2) == "0, 1 and 9,998 more"
