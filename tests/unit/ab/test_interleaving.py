"""Team draft by its rules, preferences by hand, and how often equal rankings are told apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hardneg.ab.clicks import logged, simulated
from hardneg.ab.interleaving import NEW, OLD, Drafted, Impression, outcome, team_draft
from hardneg.ab.simulated_users import USERS, User
from hardneg.errors import DataError, UserError


def test_team_draft_keeps_its_rules():
    rng, starts = np.random.default_rng(0), []
    for _ in range(400):
        old, new = (rng.permutation(12).astype(str).tolist() for _ in range(2))
        drafted = team_draft(old, new, 7, rng)
        starts.append(drafted.teams[0])
        assert len(set(drafted.docs)) == len(drafted.docs) == 7
        for end in range(0, 7, 2):
            assert set(drafted.teams[end : end + 2]) == {OLD, NEW} or end == 6, "each round both draft once"
        for place, (doc, team) in enumerate(zip(drafted.docs, drafted.teams, strict=True)):
            own = old if team == OLD else new
            assert doc == next(d for d in own if d not in drafted.docs[:place]), "its best that is not there yet"
    assert 150 < starts.count(NEW) < 250


def test_a_side_that_has_no_more_ends_the_list():
    for seed in range(20):
        drafted = team_draft(["a"], ["a", "b", "c"], 10, np.random.default_rng(seed))
        assert drafted.docs in [("a",), ("a", "b"), ("a", "b", "c")]
    assert team_draft([], [], 10, np.random.default_rng(0)) == Drafted((), ())


def test_the_preference_by_hand():
    shown = [("q1", NEW), ("q1", NEW, OLD, NEW), ("q2", OLD), ("q3", OLD, NEW), ("q3",)]
    found = outcome([Impression(query, tuple(teams)) for query, *teams in shown], "made up", "query")
    assert (found.new, found.old, found.ties, found.without_click) == (2, 1, 1, 1)
    assert found.difference.mean == pytest.approx((2 + 0.5) / 4 - 0.5)
    assert found.difference.queries == 3
    silent = outcome([Impression("q", ())], "made up", "query")
    assert silent.difference.mean == 0 and silent.difference.interval() == (-np.inf, np.inf)


def test_users_click_and_leave_as_they_are_said_to():
    rng = np.random.default_rng(0)
    drafted = Drafted(("good", "bad", "good2"), (OLD, NEW, NEW))
    grades = {"good": 1, "good2": 2, "bad": 0}
    assert USERS["perfect"].clicks(drafted, grades, rng) == (OLD, NEW)
    leaver = User(click=(0.0, 1.0), stop=(0.0, 1.0))
    assert leaver.clicks(drafted, grades, rng) == (OLD,)
    clicks = [USERS["navigational"].clicks(drafted, grades, rng) for _ in range(4000)]
    assert np.mean([bool(made) and made[0] == OLD for made in clicks]) == pytest.approx(0.95, abs=0.02)


def rankings(rng, queries, good_at):
    """Each query has one good document, put at a rank that `good_at` draws."""
    out = {}
    for q in range(queries):
        docs = [f"x{d}" for d in rng.permutation(20)]
        docs.insert(good_at(), "good")
        out[f"q{q}"] = docs
    return out


def preference(old, new, queries, user="navigational", seed=0):
    labels = {f"q{q}": {"good": 1} for q in range(queries)}
    return outcome(simulated(old, new, labels, list(labels), USERS[user], 10, 4, seed), "", "query").difference


def test_a_better_ranking_is_preferred_and_the_same_seed_gives_the_same():
    rng = np.random.default_rng(0)
    old = rankings(rng, 200, lambda: int(rng.integers(2, 9)))
    new = rankings(rng, 200, lambda: int(rng.integers(0, 3)))
    for user in USERS:
        assert preference(old, new, 200, user).interval()[0] > 0
        assert preference(new, old, 200, user).interval()[1] < 0
    assert preference(old, new, 200) == preference(old, new, 200) != preference(old, new, 200, seed=1)


def test_equal_rankings_are_told_apart_in_about_5_percent_of_tries():
    rng, wrong = np.random.default_rng(0), []
    for seed in range(100):
        old, new = (rankings(rng, 40, lambda: int(rng.integers(0, 9))) for _ in range(2))
        wrong.append(preference(old, new, 40, seed=seed).p < 0.05)
    assert np.mean(wrong) <= 0.11


def line(**row):
    return json.dumps({"query": "q1", "teams": [OLD, NEW, NEW], "clicks": [1, 3, 3], **row})


def test_a_click_log(tmp_path):
    path = tmp_path / "clicks.jsonl"
    path.write_text(f"{line()}\n{line(clicks=[])}\n{line(query='q2', clicks=[2])}\n")
    unit, impressions = logged(path)
    assert unit == "query"
    assert impressions == [Impression("q1", (OLD, NEW)), Impression("q1", ()), Impression("q2", (NEW,))]
    path.write_text(f"{line(user='u')}\n{line(user='v')}\n")
    assert logged(path)[0] == "user" and [one.unit for one in logged(path)[1]] == ["u", "v"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"clicks": [0]}, r"clicks.jsonl:2: 'clicks' must be ranks from 1 to 3, got \[0\]"),
        ({"clicks": [4]}, "ranks from 1 to 3"),
        ({"clicks": [True]}, "ranks from 1 to 3"),
        ({"teams": ["A", "B"]}, "'teams' must be a list of 'old' and 'new'"),
        ({"query": 7}, "'query' is int"),
    ],
)
def test_a_broken_line_of_a_click_log_is_named(tmp_path, row, says):
    path = tmp_path / "clicks.jsonl"
    path.write_text(f"{line()}\n{line(**row)}\n")
    with pytest.raises(DataError, match=says):
        logged(path)
    with pytest.raises(UserError, match="no such file"):
        logged(tmp_path / "none.jsonl")
