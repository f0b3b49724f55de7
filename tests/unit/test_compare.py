"""The crossed test against a simulation with a known truth, and the runs it is fed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from hardneg.compare.runs import arms, find, paired
from hardneg.compare.statistics import crossed
from hardneg.errors import UserError


def differences(rng, seeds, queries, delta=0.0, seed_sd=0.006, query_sd=0.18, rest_sd=0.15):
    by_seed, by_query = rng.normal(0, seed_sd, (seeds, 1)), rng.normal(0, query_sd, (1, queries))
    return delta + by_seed + by_query + rng.normal(0, rest_sd, (seeds, queries))


@pytest.mark.parametrize(("seeds", "queries"), [(3, 300), (5, 2000)])
def test_equal_arms_are_told_apart_in_about_one_of_twenty_tries(seeds, queries):
    rng = np.random.default_rng(0)
    wrong = np.mean([crossed(differences(rng, seeds, queries)).p < 0.05 for _ in range(600)])
    assert 0.02 < wrong < 0.08


def test_testing_over_queries_alone_would_be_wrong_far_more_often():
    rng = np.random.default_rng(0)
    tries = [differences(rng, 3, 10_000) for _ in range(200)]
    alone = np.mean([stats.ttest_1samp(d.mean(axis=0), 0).pvalue < 0.05 for d in tries])
    both = np.mean([crossed(d).p < 0.05 for d in tries])
    assert alone > 0.15
    assert both < alone / 2


def test_the_interval_holds_a_true_difference_and_excludes_zero_when_it_is_large():
    rng = np.random.default_rng(0)
    found = [crossed(differences(rng, 5, 2000, delta=0.03)) for _ in range(200)]
    assert np.mean([d.low < 0.03 < d.high for d in found]) > 0.9
    assert np.mean([d.low > 0 for d in found]) > 0.95


def test_one_seed_is_the_paired_t_test_over_queries():
    d = differences(np.random.default_rng(0), 1, 50)
    assert crossed(d).p == pytest.approx(stats.ttest_1samp(d[0], 0).pvalue)


def test_no_difference_at_all_is_not_significant():
    found = crossed(np.zeros((2, 10)))
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def run_folder(path, strategy, seed, values, test_set="t", **config):
    (path / ".hydra").mkdir(parents=True)
    summary = {"strategy": strategy, "loss": "infonce", "seed": seed, "data": "toy", "test_set": test_set}
    (path / ".hydra" / "config.yaml").write_text(json.dumps({"seed": seed, **config}))
    (path / "summary.json").write_text(json.dumps(summary))
    columns = {"query_id": [f"q{i}" for i in range(len(values))], "system": ["after"] * len(values), "ndcg@10": values}
    pq.write_table(pa.table(columns), path / "per_query.parquet")


def test_runs_are_paired_by_seed_and_query(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0, 0.5])
    run_folder(tmp_path / "1", "bm25", 2, [0.5, 0.5])
    run_folder(tmp_path / "2", "random", 1, [0.5, 0.25])
    by_arm = arms(find([tmp_path]), "ndcg@10")
    d = paired(by_arm["bm25-infonce"], by_arm["random-infonce"])
    np.testing.assert_array_equal(d, [[0.5, 0.25]])
    assert paired(by_arm["bm25-infonce"], {3: {"q0": 1.0}}) is None


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    with pytest.raises(UserError, match="no complete run"):
        find([tmp_path])
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    with pytest.raises(UserError, match=r"no mrr@10; it measured ndcg@10"):
        arms(find([tmp_path]), "mrr@10")
    run_folder(tmp_path / "1", "bm25", 1, [1.0])
    with pytest.raises(UserError, match="same run, bm25-infonce with seed 1"):
        arms(find([tmp_path]), "ndcg@10")


def test_runs_that_differ_in_more_than_the_seed_are_different_arms(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0], optimizer={"lr": 0.1})
    run_folder(tmp_path / "1", "bm25", 2, [1.0], optimizer={"lr": 0.1})
    run_folder(tmp_path / "2", "bm25", 1, [0.5], optimizer={"lr": 0.2})
    run_folder(tmp_path / "3", "random", 1, [0.5], optimizer={"lr": 0.3})
    by_arm = arms(find([tmp_path]), "ndcg@10")
    assert {arm: sorted(seeds) for arm, seeds in by_arm.items()} == {
        "bm25-infonce optimizer.lr=0.1": [1, 2],
        "bm25-infonce optimizer.lr=0.2": [1],
        "random-infonce": [1],
    }


def test_runs_on_other_data_of_the_same_name_are_refused(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    run_folder(tmp_path / "1", "random", 1, [1.0], test_set="other")
    with pytest.raises(UserError, match="different corpora"):
        arms(find([tmp_path]), "ndcg@10")


def test_arms_with_other_filters_are_named_by_their_filters(tmp_path):
    known = {"known_positives": {"at": "both"}}
    run_folder(tmp_path / "0", "mined", 1, [1.0], filter={})
    run_folder(tmp_path / "1", "mined", 1, [1.0], filter=known)
    run_folder(tmp_path / "2", "mined", 1, [1.0], filter={**known, "relative_margin": {"margin": 0.05}})
    assert set(arms(find([tmp_path]), "ndcg@10")) == {
        "mined-infonce filter=none",
        "mined-infonce filter=known_positives",
        "mined-infonce filter=known_positives+relative_margin",
    }
