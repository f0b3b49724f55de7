"""When mining goes wrong: the rules."""

from __future__ import annotations

import re

import numpy as np
import pytest
from confs import compose

from hardneg.errors import ConfigError
from hardneg.mining import alarm_rules
from hardneg.mining.alarm_rules import Thresholds
from hardneg.preflight.config import check_config

AT = Thresholds()


def test_few_kept_is_an_alarm_that_names_the_likely_cause():
    (strict,) = alarm_rules.of_lists("mined", {"kept": 0.05, "queries_short": 0.1}, AT)
    assert strict.name == "kept" and "only 5.0% of the mined documents were kept: the filters" in strict.text
    (teacher,) = alarm_rules.of_lists("mined", {"kept": 0.05, "queries_short": 0.1, "relabelled": 0.9}, AT)
    assert "the teacher takes 90.0% for positives, so raise negatives.mined.relabel" in teacher.text
    assert not alarm_rules.of_lists("mined", {"kept": 0.1, "queries_short": 0.5}, AT)


def test_short_lists_are_an_alarm():
    (short,) = alarm_rules.of_lists("mined", {"kept": 0.5, "queries_short": 0.6}, AT)
    assert short.name == "queries_short" and "60.0% of the queries have fewer" in short.text


def test_a_miner_that_finds_nothing_is_not_blamed_on_the_filters():
    numbers = {"kept": 0.0, "nothing_found": 1.0, "queries_short": 1.0, "recall": 0.0}
    (alarm,) = alarm_rules.of_lists("bm25", numbers, AT)
    assert alarm.name == "nothing_found" and "negatives.bm25.miner.tokens" in alarm.text
    assert "no filter had a part" in alarm.text and "loosen" not in alarm.text


def test_a_miner_that_finds_few_known_positives_is_an_alarm_however_much_is_kept():
    """35 of 4,000 found, everything kept: the case that looked healthy."""
    (alarm,) = alarm_rules.of_lists("mined", {"kept": 1.0, "queries_short": 0.0, "recall": 35 / 4000}, AT)
    assert alarm.name == "recall" and "only 0.9% of the known positives" in alarm.text
    assert not alarm_rules.of_lists("mined", {"kept": 1.0, "queries_short": 0.0, "recall": 0.1}, AT)
    assert not alarm_rules.of_lists(
        "mined", {"kept": 1.0, "queries_short": 0.0, "recall": 0.0}, Thresholds(recall=None)
    )


def test_a_miner_worse_than_bm25_is_an_alarm():
    miner, bm25 = np.array([0.0, 1.0] * 20), np.array([1.0, 1.0] * 20)
    (alarm,) = alarm_rules.beside_bm25(miner, bm25, AT)
    assert (
        alarm.name == "worse_than_bm25"
        and "finds 50.0% of a query's known positives, BM25 100.0% (mean of 40 queries)" in alarm.text
    )
    assert not alarm_rules.beside_bm25(bm25, miner, AT) and not alarm_rules.beside_bm25(miner, miner, AT)
    assert not alarm_rules.beside_bm25(miner[:3], bm25[:3], AT), "two of three queries are no evidence"


def test_embeddings_that_stay_alike_are_an_alarm_and_a_start_is_none():
    assert not alarm_rules.of_embeddings("queries", [0.99] * 4, AT)
    (alarm,) = alarm_rules.of_embeddings("queries", [0.5, *[0.99] * 5], AT)
    assert alarm.name == "collapse" and "mean cosine of random queries is 0.990" in alarm.text
    assert not alarm_rules.of_embeddings("queries", [*[0.99] * 4, 0.9], AT)
    for unknown in ([np.nan] * 5, [np.nan, *[0.99] * 4], [*[0.99] * 4, np.nan]):
        assert not alarm_rules.of_embeddings("queries", unknown, AT), "batches of one query have no pair"


@pytest.mark.parametrize("wrong", [{"recall": 1.0}, {"random_cosine": 0.0}, {"bm25_queries": 1}])
def test_limits_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=rf"alarms\.{next(iter(wrong))} is a"):
        Thresholds(**wrong)


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
    with pytest.raises(ConfigError, match=r"alarms\.kept is a share between 0 and 1 or null, got 2"):
        Thresholds(kept=2.0)


def test_negatives_that_are_idle_or_above_their_positive_at_the_end_are_an_alarm():
    (idle,) = alarm_rules.at_the_end("bm25", {"loss_share": 0.02, "above_positive": 0.0}, AT)
    assert idle.name == "idle" and "were idle: 2.0% of the loss" in idle.text and "take nearer ones" in idle.text
    (false,) = alarm_rules.at_the_end("mined", {"loss_share": 0.5, "above_positive": 0.4}, AT)
    assert false.name == "above_positive" and "40.0% of its negatives scored above their positive" in false.text
    assert not alarm_rules.at_the_end("bm25", {"loss_share": 0.05, "above_positive": 0.3}, AT)
    assert not alarm_rules.at_the_end("bm25", {"loss_share": float("nan")}, AT), "what was not measured says nothing"
    (own,) = alarm_rules.at_the_end("own", {"loss_share": 0.01}, AT, "a word of its own")
    assert own.name == "idle", "a source of one's own may say any origin"
    off = Thresholds(idle=None, above_positive=None)
    assert not alarm_rules.at_the_end("bm25", {"loss_share": 0.0, "above_positive": 1.0}, off)
    with pytest.raises(ConfigError, match=r"alarms\.idle is a share"):
        Thresholds(idle=5.0)


def test_dev_that_was_best_before_the_first_round_is_an_alarm():
    curve = [{"step": step, "val/x": value} for step, value in ((0, 0.9), (5, 0.5), (10, 0.6), (20, 0.4), (30, 0.55))]
    (alarm,) = alarm_rules.best_before("val/x", curve, 10)
    assert "val/x was best, 0.6000, at step 10, before the first of these negatives, and 0.5500 at" in alarm.text
    assert not alarm_rules.best_before("val/x", [*curve[:-1], {"step": 30, "val/x": 0.6}], 10), "as good at the end"
    assert not alarm_rules.best_before("val/x", curve, 5), "the best came with them"
    assert not alarm_rules.best_before("val/x", curve, 0), "they were there from the first step"
    assert not alarm_rules.best_before("val/x", curve[:3], 10) and not alarm_rules.best_before("val/x", [], 10)


LISTS = ["filter=[known_positives,relative_margin]", "filter.relative_margin.margin=0.1"]
BATCHES = ["filter=[known_positives,guide]", "+encoder@filter.guide.encoder=minilm"]
WORDS = re.compile(r"[+]?\b(?:strategy|negatives|filter|encoder@)[\w.@]*=(?:\[[^]]*\]|[\w.]+)")


@pytest.mark.parametrize(
    ("kind", "base", "idle", "false"),
    [
        ("following", "strategy=mined", ["negatives.mined.sampling=top"], LISTS),
        ("listed", "strategy=bm25", ["negatives.bm25.sampling=top", "strategy=mined"], LISTS),
        ("given", "negatives=[in_batch,given]", ["negatives=[in_batch,given,mined]"], BATCHES),
        ("random", "strategy=random", ["strategy=bm25", "strategy=mined"], BATCHES),
        ("other", "negatives=[in_batch,random]", [], BATCHES),
    ],
)
def test_what_is_advised_can_run_and_changes_something(kind, base, idle, false):
    source = {"following": "mined", "listed": "bm25"}.get(kind, kind)
    easy, suspected = alarm_rules.at_the_end(source, {"loss_share": 0.0, "above_positive": 0.9}, AT, kind)
    assert WORDS.findall(easy.text) == idle and WORDS.findall(suspected.text) == false
    for word in idle:
        differs([word] if word.startswith("strategy=") else [base, word], base)
    differs([base, *false], base)


def differs(words, base):
    """The preflight takes these words, and they are not the run that was."""
    cfg = compose(*words)
    check_config(cfg)
    assert cfg != compose(base)


@pytest.mark.parametrize("kind", ["following", "listed"])
def test_a_source_that_draws_the_nearest_is_not_advised_to(kind):
    (idle,) = alarm_rules.at_the_end("bm25", {"loss_share": 0.0}, AT, kind, nearest=True)
    assert "sampling" not in idle.text and "they are too easy, or learnt: " in idle.text
