"""What left the first k, what came, and what nobody judged."""

from __future__ import annotations

import pytest

from hardneg.ab.gained_lost import Move, changes, unjudged

OLD = {"q1": ["a", "b", "c"], "q2": ["d", "e"]}
NEW = {"q1": ["b", "x", "a"], "q2": ["e", "d", "f"]}
RELEVANT = {"q1": ["a", "b", "z"], "q2": ["f"], "q3": ["g"]}


def test_lost_and_gained():
    found = changes(OLD, NEW, RELEVANT, k=2)
    assert found.lost == [Move("q1", "a", 1, 3)]
    assert found.gained == [] and found.queries == 3
    assert found.lost_share == pytest.approx(1 / 3) and found.gained_share == 0
    assert changes(OLD, NEW, RELEVANT, k=3).gained == [Move("q2", "f", None, 3)]
    assert Move("q1", "z", None, None) in found.moves and Move("q3", "g", None, None) in found.moves


def test_a_query_that_loses_two_counts_once():
    assert changes({"q": ["a", "b"]}, {"q": []}, {"q": ["a", "b"]}, k=2).lost_share == 1


def test_unjudged_is_the_share_of_what_is_shown():
    labels = {"q1": {"a": 1, "b": 0}, "q2": {"f": 1}}
    assert unjudged(OLD, labels, ["q1", "q2"], k=2) == pytest.approx((0 + 1) / 2)
    assert unjudged({}, labels, ["q1"], k=10) == 0
