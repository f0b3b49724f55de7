"""What a race says: equal arms are called different no more often than it may, and a better one is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hardneg.race.decide import Rules, confirm, look, p_value, verdict

NAMES = ["in_batch", "a", "b", "c", "d", "e"]


def looks(rng, rules, queries, effects=None, seed_noise=0.0):
    """Scores by arm at each rung: hard and easy queries, models that keep much of what they were, many ties."""
    effects = effects or {}
    easy = rng.normal(size=queries)
    own = {name: rng.normal(size=queries) for name in NAMES}
    luck = {name: seed_noise * rng.normal() for name in NAMES}
    for rung in range(1, rules.rungs + 1):
        out = {}
        for name in NAMES:
            own[name] = 0.8 * own[name] + 0.6 * rng.normal(size=queries)
            raw = easy + 0.7 * own[name] + effects.get(name, 0.0) + luck[name]
            out[name] = np.clip(np.round(stats.norm.cdf(raw) * 10 - 3) / 7, 0.0, 1.0)  # few values, many 0 and 1
        yield rung, out


def raced(rng, rules, queries=80, **world):
    """Race simulated arms; return whether any was called worse, and the verdict."""
    racing, called, last = NAMES, False, {}
    for rung, scores in looks(rng, rules, queries, **world):
        seen = look({name: scores[name] for name in racing}, rung, rules, NAMES[0])
        called |= bool(seen.worse)
        last = {name: scores[name] for name in racing}
        racing = seen.on
    return called, verdict(last, NAMES[0], NAMES)


def test_of_equal_arms_none_is_called_worse_more_often_than_it_may_however_often_they_are_looked_at():
    rules, rng = Rules(len(NAMES), alpha=0.2), np.random.default_rng(0)
    wrong = sum(raced(rng, rules)[0] for _ in range(400))
    # At most 20% of 400, with three standard errors for the simulation; and it is a test, not a wall.
    assert 0 < wrong <= 80 + 3 * np.sqrt(400 * 0.2 * 0.8)


def whole_race(rng, rules, effects, queries=300, seed_sd=0.003, seeds=3):
    """Race arms and train the one that is taken anew; return it and whether it wins.

    Arms answer queries differently, so that the best on dev is partly so by luck, which other seeds do not undo.
    """
    own = {name: 0.15 * rng.normal(size=queries) + effects.get(name, 0.0) for name in NAMES}

    def run(name):
        return own[name] + seed_sd * rng.normal() + 0.15 * rng.normal(size=queries)

    racing = {name: run(name) for name in NAMES}
    for rung in range(1, rules.rungs + 1):
        racing = {name: racing[name] for name in look(racing, rung, rules, NAMES[0]).on}
    end = verdict(racing, NAMES[0], NAMES)
    if end.taken == NAMES[0]:
        return end.taken, False
    anew = {name: {seed: run(name) for seed in range(seeds)} for name in (end.taken, NAMES[0])}
    means = np.array(
        [[*(one.mean() for one in by_seed.values()), racing[name].mean()] for name, by_seed in anew.items()]
    )
    return end.taken, confirm(anew[end.taken], anew[NAMES[0]], means).wins(rules.to_win)


@pytest.mark.parametrize(("seeds", "seed_sd"), [(2, 0.003), (2, 0.02), (3, 0.003), (3, 0.02)])
def test_of_equal_arms_one_is_named_the_winner_no_more_often_than_it_may(seeds, seed_sd):
    rules, rng, tries = Rules(len(NAMES), alpha=0.2), np.random.default_rng(7), 100
    won = sum(whole_race(rng, rules, {}, seed_sd=seed_sd, seeds=seeds)[1] for _ in range(tries))
    assert won <= tries * 0.2 + 3 * np.sqrt(tries * 0.2 * 0.8)


def test_a_better_arm_is_named_the_winner_and_worse_ones_never_are():
    rules, rng = Rules(len(NAMES)), np.random.default_rng(8)
    found = [whole_race(rng, rules, {"b": 0.06}) for _ in range(40)]
    assert sum(won for _, won in found) >= 30 and all(arm == "b" for arm, won in found if won)
    assert not any(won for _, won in (whole_race(rng, rules, dict.fromkeys(NAMES[1:], -0.03)) for _ in range(40)))


def test_a_bad_arm_stops_early_and_a_better_one_is_taken():
    rules, rng, taken, stopped = Rules(len(NAMES)), np.random.default_rng(1), 0, 0
    for _ in range(20):
        world = list(looks(rng, rules, 300, effects={"b": 0.5, "e": -1.0}))
        stopped += "e" in look(world[0][1], 1, rules, NAMES[0]).worse
        taken += verdict(world[-1][1], NAMES[0], NAMES).taken == "b"
    assert taken >= 18 and stopped >= 18


@pytest.mark.parametrize("seeds", [3])
def test_equal_arms_whose_seeds_differ_are_not_confirmed_more_often_than_one_in_twenty(seeds):
    """Differences between seeds that a test over queries alone would take for real."""
    rng, confirmed, by_queries, tries = np.random.default_rng(2), 0, 0, 400
    for _ in range(tries):
        easy = rng.normal(size=200)
        runs = [
            {s: easy + 0.1 * rng.normal() + 0.5 * rng.normal(size=200) for s in range(seeds)} for _ in ("x", "y", "z")
        ]
        means = np.array([[run[s].mean() for s in range(seeds)] for run in runs])
        confirmed += confirm(runs[0], runs[1], means).wins(0.05)
        by_queries += p_value(runs[0][0], runs[1][0]) < 0.05
    # One direction of a two-sided 5%; with three standard errors.
    assert confirmed <= tries * 0.025 + 3 * np.sqrt(tries * 0.025 * 0.975)
    assert by_queries > 0.2 * tries


def test_one_seed_confirms_nothing():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=50) + 5, rng.normal(size=50)
    found = confirm({1: x}, {1: y}, np.array([[x.mean()], [y.mean()]]))
    assert found.p is None and found.difference > 4 and not found.wins(0.05)


def test_the_p_value_is_wilcoxons_and_none_where_means_and_ranks_disagree():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=60), rng.normal(size=60) - 0.3
    expected = stats.wilcoxon(one, other, zero_method="zsplit").pvalue
    assert p_value(one, other) == pytest.approx(expected) == pytest.approx(p_value(other, one))
    assert p_value(one, one) == 1.0
    many_small, few_large = np.full(60, 0.01) * np.linspace(1, 2, 60), np.zeros(60)
    few_large[0] = 10.0
    assert p_value(many_small, few_large) == 1.0
    rare, often = np.full(100, 0.5) + np.repeat([0.25, -0.0625], [20, 80]), np.full(100, 0.5)
    assert rare.mean() == often.mean() and p_value(rare, often) == p_value(often, rare) == 1.0


def test_levels_add_up_to_alpha_over_all_looks_and_pairs_and_grow():
    rules = Rules(6, rungs=4, growth=3, alpha=0.05)
    levels = [rules.level(rung) for rung in range(1, 5)]
    assert sum(levels) * 15 == pytest.approx(0.05) and levels == sorted(levels)
    assert [rules.units(rung) for rung in range(1, 5)] == [1, 3, 9, 27] and rules.whole == 27
    assert [rules.most(rung) for rung in range(1, 5)] == [4, 3, 2, 2], "and the baseline"


def test_leader_and_baseline_go_on_whatever_the_room():
    rng = np.random.default_rng(5)
    scores = {name: rng.random(40) for name in NAMES}
    scores["in_batch"] = np.zeros(40)
    seen = look(scores, 1, Rules(len(NAMES)), "in_batch", room=1)
    assert sorted(seen.on) == sorted([seen.leader, "in_batch"]) and "in_batch" not in seen.worse
    assert len(seen.no_time) == 4 and seen.p["in_batch"] < seen.level


def test_of_arms_within_one_standard_error_of_the_best_the_first_in_the_portfolio_is_taken():
    rng = np.random.default_rng(6)
    base = rng.random(200) * 0.3
    dear = base + 0.3 + 0.01 * rng.random(200)
    cheap = dear + 0.001 * rng.normal(size=200)
    cheap -= cheap.mean() - dear.mean() + 0.00005  # behind by less than the error of their difference, .00007
    scores = {"dear": dear, "cheap": cheap, "in_batch": base}
    end = verdict(scores, "in_batch", ["in_batch", "cheap", "dear"])
    assert (end.taken, end.leader, end.close) == ("cheap", "dear", ["cheap", "dear"])
    d = dear - base
    assert end.lead == pytest.approx(d.mean()) and end.error == pytest.approx(stats.sem(d))
    further = verdict({**scores, "cheap": cheap - 0.00005}, "in_batch", ["in_batch", "cheap", "dear"])
    assert (further.taken, further.close) == ("dear", ["dear"])
    same = verdict({"in_batch": base, "dear": base.copy()}, "in_batch", ["in_batch", "dear"])
    assert (same.taken, same.leader, same.lead, same.error) == ("in_batch", "in_batch", 0.0, 0.0)


def test_the_baseline_is_taken_wherever_it_stands_in_the_portfolio():
    rng = np.random.default_rng(9)
    best, base = rng.random(100), rng.random(100)
    base += best.mean() - base.mean() - 1e-6
    assert verdict({"best": best, "base": base}, "base", ["best", "base"]).taken == "base"


@pytest.mark.parametrize(("arms", "level"), [(2, 0.05), (3, 0.05), (5, 0.025), (9, 0.0125)])
def test_the_level_of_a_winner_is_shared_by_all_arms_one_sided_and_never_above_alpha(arms, level):
    assert Rules(arms, alpha=0.05).to_win == pytest.approx(level)
