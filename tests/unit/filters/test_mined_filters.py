"""The filters of mined lists, each against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.filters.duplicates import Duplicates
from hardneg.filters.in_batch_margin import InBatchMargin
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.rank_window import RankWindow
from hardneg.filters.score_margin import AbsoluteMargin, RelativeMargin
from hardneg.filters.score_window import ScoreWindow
from hardneg.filters.teacher_score import TeacherScore
from hardneg.testing.synthetic import make_candidates, make_qrels, make_training

NONE = torch.full((1, 1), -1)


def row(positives, negatives, **more):
    """One query with these scores."""
    scores = torch.tensor([[*positives, *negatives]])
    positive = torch.arange(scores.shape[1])[None] < len(positives)
    return make_candidates(scores, positive, **more)


def kept(rule, c):
    return rule(c, NONE)[c.negative].tolist()


@pytest.mark.parametrize(
    ("positive", "expected"),
    [("min", [False, False, True]), ("mean", [False, True, True]), ("max", [True, True, True])],
)
def test_an_absolute_margin_below_the_lowest_mean_or_highest_positive(positive, expected):
    assert kept(AbsoluteMargin(0.125, positive), row([0.5, 1.0], [0.875, 0.625, 0.375])) == expected


def test_a_relative_margin_is_a_share_of_a_positive_score():
    assert kept(RelativeMargin(0.05), row([0.8], [0.77, 0.75])) == [False, True]


def test_a_relative_margin_is_safe_for_negative_scores():
    """0.95 * -2 = -1.9 would let -1.95, which is above the positive, pass."""
    assert kept(RelativeMargin(0.05), row([-2.0], [-1.95, -2.05, -2.2])) == [False, False, True]


@pytest.mark.parametrize("rule", [AbsoluteMargin(), RelativeMargin(), InBatchMargin(sources=["it"])])
def test_without_a_known_positive_score_a_margin_drops_nothing(rule):
    assert kept(rule, row([float("nan")], [5.0, -5.0])) == [True, True]


def test_a_score_window():
    assert kept(ScoreWindow(0.25, 0.75), row([1.0], [0.8, 0.75, 0.25, 0.2])) == [False, True, True, False]
    assert kept(ScoreWindow(None, 0.5), row([1.0], [0.8, -9.0])) == [False, True]


def test_a_rank_window_counts_from_zero_and_leaves_what_has_no_rank():
    c = row([1.0], [0.9, 0.8, 0.7, 0.6], rank=torch.tensor([[-1, 0, 1, 2, -1]]))
    assert kept(RankWindow(1, 2), c) == [False, True, False, True]
    assert kept(RankWindow(1, 2), row([1.0], [0.9])) == [True]


def test_duplicates_by_text_leave_the_first_that_is_still_there():
    training = make_training([(0, 0)], docs=["a", "b", "b ", "c", "b"])
    rule = Duplicates()
    rule.prepare(training)
    c = make_candidates(torch.rand(1, 5), ids=[[0, 1, 2, 3, 4]])
    assert rule(c, NONE).tolist() == [[True, True, False, True, False]]
    without = c.keep(torch.tensor([[True, False, True, True, True]]))
    assert without.keep(rule(without, NONE)).valid.tolist() == [[True, False, True, True, False]]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("drop_positives", [False, True, True, True]),
        ("drop_judged", [False, False, True, True]),
        ("only_judged_negatives", [False, True, False, False]),
    ],
)
def test_the_three_modes_of_label_coverage(mode, expected):
    training = make_training([(0, 1, 1), (0, 2, 0), (1, 3, 0), (1, 5, 1)])
    rule = KnownPositives(mode)
    rule.prepare(training)
    ids, source = torch.tensor([[1, 2, 3, 4]]), torch.ones(1, 4, dtype=torch.long)
    c = make_candidates(
        torch.rand(1, 4), torch.zeros(1, 4, dtype=torch.bool), ids=ids, source=source, query_ids=torch.tensor([0])
    )
    assert rule(c, torch.tensor([[1]])).tolist() == [expected]
    assert make_qrels([(0, 1)]).docs.tolist() == [1]


def test_the_in_batch_margin_judges_its_sources_only():
    c = row([0.5], [0.9, 0.55, 0.9], source=torch.tensor([[0, 1, 1, 2]]), names=("positive", "in_batch", "mined"))
    assert kept(InBatchMargin(0.1), c) == [False, True, True]
    assert kept(InBatchMargin(0.1, sources=["mined"]), c) == [True, True, False]


def test_teacher_scores_by_threshold_and_by_margin_and_unknown_ones_stay():
    nan = float("nan")
    c = row([0.5], [0.4, 0.4, 0.4], teacher=torch.tensor([[5.0, 4.0, 1.0, nan]]))
    assert kept(TeacherScore(margin=3.0), c) == [False, True, True]
    assert kept(TeacherScore(high=0.5, margin=None), c) == [False, False, True]
    assert kept(TeacherScore(), row([0.5], [0.4])) == [True]


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (AbsoluteMargin, {"margin": -0.1}), (RelativeMargin, {"margin": 1.0}), (RelativeMargin, {"positive": "best"}),
        (RankWindow, {"skip": -1}), (RankWindow, {"skip": 3, "last": 3}), (ScoreWindow, {"low": 1.0, "high": 0.5}),
        (TeacherScore, {"margin": None}), (KnownPositives, {"mode": "all"}), (Duplicates, {"at": "home"}),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(cls, wrong):
    with pytest.raises(ConfigError):
        cls(**wrong)
