"""When mining goes wrong: the rules."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.errors import ConfigError
from hardneg.mining import alarm_rules
from hardneg.mining.alarm_rules import Thresholds

AT = Thresholds()


def test_few_kept_is_an_alarm_that_names_the_likely_cause():
    (strict,) = alarm_rules.of_lists("mined", {"hit_rate": 0.05, "queries_short": 0.1}, AT)
    assert strict.name == "hit_rate" and "only 5.0% of the mined documents were kept: the filters" in strict.text
    (teacher,) = alarm_rules.of_lists("mined", {"hit_rate": 0.05, "queries_short": 0.1, "relabelled": 0.9}, AT)
    assert "the teacher takes 90.0% for positives, so raise negatives.mined.relabel" in teacher.text
    assert not alarm_rules.of_lists("mined", {"hit_rate": 0.1, "queries_short": 0.5}, AT)


def test_short_lists_are_an_alarm():
    (short,) = alarm_rules.of_lists("mined", {"hit_rate": 0.5, "queries_short": 0.6}, AT)
    assert short.name == "queries_short" and "60.0% of the queries have fewer" in short.text


def test_a_significant_fall_is_an_alarm_and_a_rise_is_none():
    before = np.linspace(0.2, 0.9, 40)
    noise = np.tile([0.01, -0.01], 20)
    (drop,) = alarm_rules.of_metric("ndcg@10", before, before - 0.05 + noise, AT)
    assert drop.name == "drop" and "dev ndcg@10 fell by 0.0500" in drop.text
    assert not alarm_rules.of_metric("ndcg@10", before, before + 0.05 + noise, AT)
    assert not alarm_rules.of_metric("ndcg@10", before, before - 0.0001 + noise, AT)
    assert not alarm_rules.of_metric("ndcg@10", before, before - 0.05, Thresholds(p=None))


def test_a_rising_loss_is_an_alarm_once_there_is_enough_of_it():
    assert alarm_rules.of_loss([1.0] * 9 + [2.0] * 9, AT)
    assert not alarm_rules.of_loss([2.0] * 9 + [1.0] * 9, AT) and not alarm_rules.of_loss([1.0, 2.0], AT)
    assert alarm_rules.fall([2.0, 2.0, 1.0]) == pytest.approx(-0.5) and np.isnan(alarm_rules.fall([1.0]))


def test_limits_are_shares():
    with pytest.raises(ConfigError, match=r"alarms\.hit_rate is a share between 0 and 1 or null, got 2"):
        Thresholds(hit_rate=2.0)
