"""What kind of document a mined negative is, by rules over words that can be written down.

A rule reads the words of a text: lower-cased runs of letters and digits without the commonest function words. It says
what the words say, not what is true: a document that answers in other words is "other" to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FUNCTION_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        "a an and are as at be by can do does for from has have how i if in is it its me my of on or that the their"
        " there this to was were what when which who will with you your",
    )
)
SAME, ALIKE, NEAR, INSIDE, HALF = 0.8, 0.6, 0.4, 0.8, 0.5
FEWEST = 6  # words that must be inside another text before that says something


@dataclass(frozen=True)
class Case:
    """The words of a query, its known positives, the negative, and the other queries that the negative answers."""

    query: frozenset[str]
    positives: Sequence[frozenset[str]]
    negative: frozenset[str]
    answered: Sequence[frozenset[str]]


def words(text: str) -> frozenset[str]:
    """The words that count; of a text of function words alone all of them."""
    every = frozenset(re.findall(r"[a-z0-9]+", text.lower()))
    return every - FUNCTION_WORDS or every


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard's overlap: shared words over all words."""
    return len(one & other) / max(len(one | other), 1)


def inside(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the shorter text's words that the longer one has; 0 where it has fewer than six."""
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter >= FEWEST else 0.0


def share_of_query(case: Case, document: frozenset[str]) -> float:
    """The share of the query's words that a document has."""
    return len(case.query & document) / max(len(case.query), 1)


# In this order: a negative is of the first kind whose rule holds.
RULES: dict[str, Callable[[Case], bool]] = {
    "as good as the positive": lambda c: any(alike(c.negative, one) >= SAME for one in c.positives),
    "answers a near-duplicate query": lambda c: any(alike(c.query, one) >= ALIKE for one in c.answered),
    "holds the positive, or is held": lambda c: any(inside(c.negative, one) >= INSIDE for one in c.positives),
    "near the positive": lambda c: any(alike(c.negative, one) >= NEAR for one in c.positives),
    "shares more with the query": lambda c: (
        share_of_query(c, c.negative) >= HALF
        and share_of_query(c, c.negative) > max((share_of_query(c, one) for one in c.positives), default=0.0)
    ),
    "shares words with the query": lambda c: bool(c.query & c.negative),
    "other": lambda c: True,
}
SAID = {
    "as good as the positive": f"at least {SAME:.0%} of the words of it and of a known positive are shared (Jaccard)",
    "answers a near-duplicate query": (
        f"it is labelled for another training query that shares {ALIKE:.0%} of the words (Jaccard)"
    ),
    "holds the positive, or is held": (
        f"{INSIDE:.0%} of the words of the shorter of both, {FEWEST} or more, are in the longer"
    ),
    "near the positive": f"at least {NEAR:.0%} of the words are shared with a known positive (Jaccard)",
    "shares more with the query": f"it has at least {HALF:.0%} of the query's words, and more than any positive",
    "shares words with the query": "at least one",
    "other": "no word of the query",
}


def kind(case: Case) -> str:
    """The first rule that holds."""
    return next(name for name, rule in RULES.items() if rule(case))
