"""Strata: draws that cover the range of the scores."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.negatives.stratified import stratified


def draws(scores, k, count=300):
    scores = np.array(scores, np.float32)
    return [stratified(scores, k, np.random.default_rng(seed)).tolist() for seed in range(count)]


def test_one_comes_from_each_equal_range_of_the_scores():
    """0 to 10 in four ranges: ninety candidates in the lowest, one or two in each of the others."""
    scores = [*np.linspace(0, 2.4, 90), 4.0, 6.0, 7.0, 10.0]
    found = draws(scores, 4)
    ranges = [sorted(np.digitize(np.array(scores)[places], [2.5, 5, 7.5]).tolist()) for places in found]
    assert ranges == [[0, 1, 2, 3]] * len(found)
    assert {place for places in found for place in places if 91 <= place <= 92} == {91, 92}, "any of a range may come"


def test_single_draws_come_equally_often_from_each_range_that_holds_candidates():
    """Of 100 margins 99 are alike: a uniform draw would show the rare one in a hundredth of the steps."""
    found = np.array(draws([*np.linspace(0, 0.4, 49), *np.linspace(3.1, 3.3, 50), 10.0], 1, 3000))[:, 0]
    shares = [np.mean(found < 49), np.mean((found >= 49) & (found < 99)), np.mean(found == 99)]
    assert np.abs(np.array(shares) - 1 / 3).max() < 0.03
    assert len(set(found[found < 49])) == 49, "within a range any candidate may come"


def test_the_highest_score_lies_in_the_last_range():
    assert all(2 in places for places in draws([0.0, 0.1, 1.0], 2))


def test_the_slots_of_empty_ranges_go_to_the_others_in_turn():
    """Five ranges, of which three are empty: two each of the low and of the high, and a fifth of either."""
    found = draws([0.0, 0.1, 0.2, 9.8, 9.9, 10.0], 5)
    low = [sum(place < 3 for place in places) for places in found]
    assert set(low) == {2, 3}
    found = draws([0.0, 0.1, 0.2, 0.3, 10.0], 4)
    assert all(4 in places for places in found)


@pytest.mark.parametrize("n", [0, 1, 3, 7, 50])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_k_different_places_or_all_there_are(n, k):
    scores = np.random.default_rng(n).normal(size=n)
    for places in draws(scores, k, 20):
        assert len(places) == min(n, k) and len(set(places)) == len(places)


def test_equal_scores_are_drawn_from_uniformly():
    counts = np.bincount(np.concatenate(draws([3.0] * 5, 2, 2000)), minlength=5)
    assert abs(counts - 800).max() < 100


def test_what_has_no_score_comes_last():
    scores = [np.nan, 1.0, np.nan, 2.0, np.nan]
    assert all(set(places) == {1, 3} for places in draws(scores, 2, 20))
    assert all({1, 3} < set(places) for places in draws(scores, 3, 20))
    assert all(len(places) == 2 for places in draws([np.nan] * 3, 2, 20))


def test_it_covers_more_of_the_range_than_a_uniform_draw_and_than_the_top():
    """The paper's claim in numbers: the spread of the drawn scores is that of the range."""
    scores = np.sort(np.random.default_rng(0).exponential(size=100).astype(np.float32))[::-1]
    spread = np.mean([scores[places].std() for places in draws(scores, 5)])
    uniform = np.mean([scores[np.random.default_rng(seed).permutation(100)[:5]].std() for seed in range(300)])
    assert spread > 1.5 * uniform and spread > scores[:5].std()
