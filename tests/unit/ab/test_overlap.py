"""Rank-biased overlap against its definition, summed over endless rankings."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.ab.overlap import rbo, top_overlap


def endless(one, other, p, depth=4000):
    """RBO as the sum of its definition, with the agreement that was seen taken to go on below."""
    short, long = sorted((one, other), key=len)
    s, n, total = len(short), len(long), 0.0
    seen = len(set(short) & set(long[:s])) / s
    for d in range(1, depth + 1):
        if d <= s:
            agreement = len(set(short[:d]) & set(long[:d])) / d
        elif d <= n:
            agreement = (len(set(short) & set(long[:d])) + seen * (d - s)) / d
        total += agreement * p ** (d - 1)
    return (1 - p) * total


@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
def test_is_its_definition(p):
    rng = np.random.default_rng(0)
    for _ in range(30):
        one, other = (rng.permutation(25).astype(str)[: rng.integers(1, 25)].tolist() for _ in range(2))
        assert rbo(one, other, p) == pytest.approx(endless(one, other, p), abs=1e-9)
        assert rbo(one, other, p) == pytest.approx(rbo(other, one, p))


def test_ends():
    assert rbo("abc", "abc") == pytest.approx(1) and rbo("abc", "def") == 0
    assert rbo("", "") == 1 and rbo("", "abc") == 0
    assert rbo("abc", "abcdef") == pytest.approx(1), "the short one is not known to end differently"


def test_the_first_ten_ranks_have_86_percent_of_the_weight():
    start, one, other = ([f"{name}{i}" for i in range(n)] for name, n in (("s", 10), ("a", 1000), ("b", 1000)))
    assert rbo(start + one, start + other) == pytest.approx(0.856, abs=0.001)  # Webber et al. say so too


def test_common_results():
    assert top_overlap("abcd", "bcxy", 3) == pytest.approx(2 / 3)
    assert top_overlap("ab", "abcd", 4) == 0.5 and top_overlap("", "", 4) == 1
