"""The tests against simulations with a known truth, hand-computed numbers and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hardneg.compare.power import detectable, queries_needed, seeds_needed
from hardneg.compare.statistics import (
    Components,
    Difference,
    SeedVariance,
    by_cluster,
    crossed,
    effect_size,
    holm,
    over_seeds,
    pooled_seed_variance,
    wins,
)


def differences(rng, seeds, queries, delta=0.0, seed_sd=0.006, query_sd=0.18, rest_sd=0.15):
    by_seed, by_query = rng.normal(0, seed_sd, (seeds, 1)), rng.normal(0, query_sd, (1, queries))
    return delta + by_seed + by_query + rng.normal(0, rest_sd, (seeds, queries))


@pytest.mark.parametrize(
    ("seeds", "queries", "query_sd"), [(3, 300, 0.18), (5, 300, 0.18), (10, 300, 0.0), (5, 2000, 0.18)]
)
def test_equal_arms_are_told_apart_in_3_to_7_percent_of_tries(seeds, queries, query_sd):
    rng = np.random.default_rng(0)
    wrong = np.mean([crossed(differences(rng, seeds, queries, query_sd=query_sd)).p < 0.05 for _ in range(1000)])
    assert 0.03 < wrong < 0.07


def test_few_seeds_and_arms_that_share_every_query_effect_are_told_apart_more_rarely_than_that():
    """Taken as known to be zero, the variance of queries or seeds made this 6 to 9%: now its uncertainty stays."""
    rng = np.random.default_rng(0)
    assert np.mean([crossed(differences(rng, 3, 2000, query_sd=0.0)).p < 0.05 for _ in range(1000)]) < 0.05


def equal_arms(rng, arms, seeds, queries, seed_sd=0.006, query_sd=0.18, rest_sd=0.15):
    """The metric by arm, seed and query; a difference of two arms has these standard deviations."""
    y = rng.normal(0, seed_sd, (arms, seeds, 1)) + rng.normal(0, query_sd, (arms, 1, queries))
    return (y + rng.normal(0, rest_sd, (arms, seeds, queries))) / np.sqrt(2)


@pytest.mark.parametrize(("arms", "seeds", "seed_sd"), [(4, 2, 0.006), (4, 2, 0.02), (3, 3, 0.006), (3, 5, 0.02)])
def test_equal_arms_of_a_table_are_told_apart_in_2_to_7_percent_of_tries(arms, seeds, seed_sd):
    """Each difference by itself, as it was, calls 11% of the second design different."""
    rng, wrong = np.random.default_rng(0), []
    for _ in range(400):
        y = equal_arms(rng, arms, seeds, 1000, seed_sd)
        pooled = pooled_seed_variance(y.mean(axis=2))
        wrong += [crossed(y[arm] - y[0], pooled).p < 0.05 for arm in range(1, arms)]
    assert 0.02 < np.mean(wrong) < 0.07


def test_degrees_of_freedom_do_not_jump_where_the_variance_of_seeds_comes_out_as_zero():
    rng = np.random.default_rng(0)
    d = differences(rng, 2, 335, seed_sd=0.0)
    d -= d.mean(axis=1, keepdims=True)  # both seeds have the same mean: their variance comes out below zero
    found = []
    for gap in np.linspace(0, 0.06, 50):
        apart = crossed(d + np.array([[gap / 2], [-gap / 2]]))
        found.append(apart.freedom)
    assert found[0] < 20, "335 when a variance of zero counted as known"
    assert found[-1] < 2
    assert np.abs(np.diff(np.log(found))).max() < 0.5 and np.all(np.diff(found) <= 1e-9)


def test_pooled_variance_of_seeds_is_the_interaction_of_a_two_way_table():
    means = np.random.default_rng(0).normal(0, 1, (4, 3))
    by_hand = sum(
        (means[a, s] - means[a].mean() - means[:, s].mean() + means.mean()) ** 2 for a in range(4) for s in range(3)
    )
    found = pooled_seed_variance(means)
    assert found.freedom == 6 and found.value == pytest.approx(2 * by_hand / 6)
    # it is also the mean variance of the differences of all pairs
    pairs = [(means[a] - means[b]).var(ddof=1) for a in range(4) for b in range(a)]
    assert found.value == pytest.approx(np.mean(pairs))


def test_pooled_variance_of_seeds_where_arms_have_other_seeds():
    nan = np.nan
    two = pooled_seed_variance(np.array([[0.1, 0.4, 0.3, nan], [nan, 0.2, 0.6, 0.9]]))
    assert two.freedom == 1 and two.value == pytest.approx(np.var([0.2, -0.3], ddof=1))  # of the two seeds they share
    assert pooled_seed_variance(np.array([[0.1, nan], [nan, 0.2]])) is None
    assert pooled_seed_variance(np.array([[0.1], [0.2]])) is None


def test_an_arm_whose_seeds_vary_more_than_the_others_keeps_its_own_variance():
    d = differences(np.random.default_rng(0), 3, 100, seed_sd=0.5)
    own, calm, wild = crossed(d), crossed(d, SeedVariance(1e-6, 8)), crossed(d, SeedVariance(10.0, 8))
    assert calm.error == pytest.approx(own.error) and wild.error > own.error
    assert calm.seed_freedom == wild.seed_freedom == 8 and own.seed_freedom == 2
    alone = over_seeds(d.mean(axis=1), SeedVariance(10.0, 8))
    assert alone.freedom == 8 and alone.error == pytest.approx(np.sqrt(10 / 3))


def test_equal_arms_with_clustered_queries():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 12, 60)
    clusters = np.repeat(np.arange(60), sizes)
    found = []
    for _ in range(1000):
        d = differences(rng, 5, len(clusters), query_sd=0.1) + rng.normal(0, 0.2, 60)[clusters]
        found.append([crossed(by_cluster(d, clusters)).p < 0.05, crossed(d).p < 0.05])
    by_clusters, by_queries = np.mean(found, axis=0)
    assert 0.03 < by_clusters < 0.07
    assert by_queries > 0.2


def test_testing_over_queries_alone_would_be_wrong_far_more_often():
    rng = np.random.default_rng(0)
    tries = [differences(rng, 3, 10_000) for _ in range(200)]
    alone = np.mean([stats.ttest_1samp(d.mean(axis=0), 0).pvalue < 0.05 for d in tries])
    both = np.mean([crossed(d).p < 0.05 for d in tries])
    assert alone > 0.15
    assert both < alone / 2


def test_the_interval_holds_a_true_difference_and_excludes_zero_when_it_is_large():
    rng = np.random.default_rng(0)
    found = [crossed(differences(rng, 5, 2000, delta=0.03)).interval() for _ in range(200)]
    assert np.mean([low < 0.03 < high for low, high in found]) > 0.9
    assert np.mean([low > 0 for low, _ in found]) > 0.95


def test_by_hand():
    # means 2 and 5 by seed; 2.5, 5.5 and 2.5 by query; 3.5 in all; residuals 0, -1, 1 and 0, 1, -1
    found = crossed(np.array([[1.0, 3.0, 2.0], [4.0, 8.0, 3.0]]))
    ms_s, ms_q, ms_e = 3 * (1.5**2 * 2) / 1, 2 * (1 + 4 + 1) / 2, 4 / 2
    total = ms_s + ms_q - ms_e
    assert found.mean == 3.5
    assert found.error**2 == pytest.approx(total / 6)
    assert found.freedom == pytest.approx(total**2 / (ms_s**2 / 1 + ms_q**2 / 2 + ms_e**2 / 2))
    assert found.components.seed == pytest.approx((ms_s - ms_e) / 3)


def test_it_is_the_formula_of_the_recipes():
    d = differences(np.random.default_rng(1), 5, 400, seed_sd=0.05)
    s_q, s_s = d.mean(axis=0).var(ddof=1), d.mean(axis=1).var(ddof=1)
    rest = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
    expected = s_q / 400 + s_s / 5 - (rest**2).sum() / (4 * 399) / (5 * 400)
    assert crossed(d).error ** 2 == pytest.approx(expected)


def test_one_seed_is_the_paired_t_test_over_queries():
    d = differences(np.random.default_rng(0), 1, 50)
    expected = stats.ttest_1samp(d[0], 0)
    assert crossed(d).p == pytest.approx(expected.pvalue)
    assert crossed(d).interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_seeds_alone_are_the_paired_t_test_over_seeds():
    d = np.array([0.01, 0.03, 0.02, 0.05])
    assert over_seeds(d).p == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    assert over_seeds(d[:1]).p == 1


def test_no_difference_at_all_is_not_significant():
    found = crossed(np.zeros((2, 10)))
    assert (found.mean, found.interval(), found.p) == (0.0, (0.0, 0.0), 1.0)
    assert found.p_equivalent(0.01) == 0


def test_one_query_says_nothing():
    found = crossed(np.array([[0.5], [0.7]]))
    assert found.p == 1 and found.interval() == (-np.inf, np.inf)


def test_equivalence_is_two_one_sided_t_tests():
    d = differences(np.random.default_rng(0), 1, 500, delta=0.004, rest_sd=0.05, query_sd=0.02)
    found = crossed(d)
    above = stats.ttest_1samp(d[0], -0.01, alternative="greater").pvalue
    below = stats.ttest_1samp(d[0], 0.01, alternative="less").pvalue
    assert found.p_not_worse(0.01) == pytest.approx(above)
    assert found.p_equivalent(0.01) == pytest.approx(max(above, below))


def test_equivalence_at_5_percent_is_the_90_percent_interval_within_the_margin():
    rng = np.random.default_rng(0)
    for _ in range(50):
        found = crossed(differences(rng, 4, 300, rest_sd=0.05, query_sd=0.05))
        low, high = found.interval(0.9)
        assert (found.p_equivalent(0.012) < 0.05) == (low > -0.012 and high < 0.012)


def test_arms_that_differ_by_the_margin_are_called_equivalent_in_one_of_twenty_tries():
    rng = np.random.default_rng(0)
    tries = [crossed(differences(rng, 5, 500, delta=-0.05, query_sd=0.1)) for _ in range(1000)]
    assert 0.03 < np.mean([d.p_not_worse(0.05) < 0.05 for d in tries]) < 0.07


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_clusters_of_one_size_are_their_means():
    d = differences(np.random.default_rng(0), 3, 12)
    clusters = np.tile([7, 3, 9], 4)
    expected = np.stack([d[:, clusters == c].mean(axis=1) for c in (3, 7, 9)], axis=1)
    np.testing.assert_allclose(by_cluster(d, clusters), expected)


def test_clusters_of_any_size_keep_the_mean_over_queries_and_give_the_sandwich_variance():
    d = differences(np.random.default_rng(0), 1, 9)
    clusters = np.array([0, 0, 0, 0, 1, 2, 2, 3, 3])
    found = crossed(by_cluster(d, clusters))
    residuals = [(d[0, clusters == c] - d.mean()).sum() for c in range(4)]
    assert found.mean == pytest.approx(d.mean())
    assert found.error**2 == pytest.approx(4 / 3 * np.sum(np.square(residuals)) / 81)
    assert (found.queries, found.freedom) == (4, 3)


def test_every_query_its_own_cluster_changes_nothing():
    d = differences(np.random.default_rng(0), 3, 40)
    one, other = crossed(d), crossed(by_cluster(d, np.arange(40)))
    assert (one.error, one.freedom) == pytest.approx((other.error, other.freedom))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("freedom", [0.05, 0.2, 0.3, 0.4, 1.0])
def test_a_fraction_of_a_degree_of_freedom_finds_next_to_nothing(freedom, alpha):
    d = Difference(0.1, 0.1, freedom, 2, 2, Components(0.1, 0.1, 0.1, 0.5))
    assert detectable(d, alpha) > (1.0 if freedom == 1.0 else 10.0)


def test_what_is_detectable_is_found_in_80_percent_of_tries():
    parts = Components(seed=0.006**2, query=0.18**2, rest=0.15**2)
    error, freedom = parts.error(5, 1000)
    delta = error * (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom))  # the usual approximation
    rng = np.random.default_rng(0)
    tries = [crossed(differences(rng, 5, 1000, delta=delta)) for _ in range(500)]
    assert 0.75 < np.mean([d.p < 0.05 for d in tries]) < 0.87
    assert np.median([detectable(d) for d in tries]) == pytest.approx(delta, rel=0.1)


def test_what_it_takes_to_resolve_a_difference_does_resolve_it():
    parts = Components(seed=0.006**2, query=0.18**2, rest=0.15**2)
    d = Difference(0.0, *parts.error(3, 300), 3, 300, parts)
    queries = queries_needed(d, 0.03)
    assert queries is not None and queries > 300
    error, freedom = d.components.error(3, queries)
    assert error * (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) == pytest.approx(0.03, rel=0.1)
    assert seeds_needed(d, 0.001) is None  # 300 queries never will, however many seeds


def test_effect_size_and_wins_by_hand():
    d = np.array([[0.2, 0.0, -0.1, 0.3], [0.4, 0.0, -0.1, 0.0]])
    average = [0.3, 0.0, -0.1, 0.15]
    assert effect_size(d) == pytest.approx(np.mean(average) / np.std(average, ddof=1))
    assert wins(d, 0.0) == (2, 1, 1) and wins(d, 0.1) == (2, 2, 0)
    assert np.isnan(effect_size(np.zeros((2, 3))))
