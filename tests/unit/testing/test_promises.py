"""Parts are held to their contracts by a call: good ones pass, broken ones are told all that they promised."""

from __future__ import annotations

import newcomers
import pytest

from hardneg import testing
from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.negatives.queue import Queue
from hardneg.testing.promises import kind_of


def test_good_parts_pass():
    testing.check_source(newcomers.GoodSource(k=3))
    testing.check_source(Queue(size=8))
    testing.check_loss(newcomers.GoodLoss())
    testing.check_loss(InfoNCE())
    testing.check_filter(newcomers.GoodFilter())


@pytest.mark.parametrize(
    ("check", "part", "says"),
    [
        (testing.check_source, newcomers.TakesKnownPositives(2), "never_draws_a_known_positive"),
        (testing.check_source, newcomers.ForgetsTwins(2), "nor a document with the same text"),
        (testing.check_source, newcomers.ForgetsItsState(), "after a resume it offers the same"),
        (testing.check_loss, newcomers.SeesMaskedColumns(), "Columns that are not valid change neither loss"),
        (testing.check_filter, newcomers.DropsTheBest(), "Filtering what is left again drops nothing more"),
    ],
)
def test_a_broken_part_is_told_what_it_promised(check, part, says):
    with pytest.raises(AssertionError, match=says):
        check(part)


def test_a_part_of_another_kind_is_told_from_what_it_must_derive():
    with pytest.raises(AssertionError, match="derives from OfflineSource or OnlineSource"):
        kind_of(InfoNCE(), "negatives")


def test_all_broken_promises_are_told_at_once():
    class Broken(newcomers.GoodLoss):
        def forward(self, c):
            return c.scores.sum()

    with pytest.raises(AssertionError, match=r"Broken breaks \d of 7 promises") as told:
        testing.check_loss(Broken())
    assert "gives_one_finite_value_a_row" in str(told.value) and "masked_columns_do_nothing" in str(told.value)


def test_a_yaml_is_held_to_its_class(tmp_path, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    (tmp_path / "loss").mkdir()
    body = "_target_: newcomers.GoodLoss\nbias: 0.5\n"
    (tmp_path / "loss" / "good.yaml").write_text(f"# @package loss.good\n{body}weight: 1.0\n")
    (tmp_path / "loss" / "short.yaml").write_text(f"# @package loss.short\n{body}")
    testing.check_yaml(tmp_path, "loss", "good")
    with pytest.raises(AssertionError, match="does not show weight"):
        testing.check_yaml(tmp_path, "loss", "short")


def test_a_class_of_another_kind_is_told(tmp_path):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "rule.yaml").write_text(
        "# @package loss.rule\n_target_: hardneg.filters.score_window.ScoreWindow\nlow: null\nhigh: 0.7\nat: mined\n"
    )
    with pytest.raises(AssertionError, match=r"(?s)rule.yaml breaks 1 of 5 .*derives from.*an object of Loss"):
        testing.check_yaml(tmp_path, "loss", "rule")
    assert [promise.check.__name__ for promise in testing.promises(tmp_path, "loss")][1] == "class_is_of_its_group"


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="no package nowhere_study"):
        testing.promises("nowhere_study")
