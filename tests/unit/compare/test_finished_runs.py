"""Runs are found, named and paired, and what cannot be compared is refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from folders import run_folder

from hardneg.compare.arms import arms, check_measured, unnamed_differences
from hardneg.compare.finished_runs import find
from hardneg.errors import UserError
from hardneg.runlog.wandb_run import WandbRun


def test_runs_are_paired_by_seed_and_query(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0, 0.5])
    run_folder(tmp_path / "1", "bm25", 2, [0.5, 0.5])
    run_folder(tmp_path / "2", "random", 1, [0.5, 0.25])
    by_arm = arms(find([tmp_path]).runs)
    bm25, random = by_arm["bm25-infonce"], by_arm["random-infonce"]
    assert bm25.shared(random) == [1]
    np.testing.assert_array_equal(bm25.minus(random, "ndcg@10"), [[0.5, 0.25]])
    np.testing.assert_allclose(bm25.minus_by_seed(random, "ndcg@10"), [0.375])


def test_queries_are_paired_by_id_in_whatever_order_they_were_written(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, list(np.linspace(0, 1, 12)))
    ids = find([tmp_path]).runs[0].per_query
    assert ids.ids.tolist() == sorted(f"q{i}" for i in range(12))
    assert ids.values["ndcg@10"][ids.ids.tolist().index("q11")] == 1


def test_values_by_query_are_read_without_arrows_data_sets_which_import_pandas(tmp_path, monkeypatch):
    run_folder(tmp_path / "0", "a", 0, [0.25, 0.5])
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)  # imports of it fail
    assert sorted(find([tmp_path]).runs[0].per_query.values["ndcg@10"]) == [0.25, 0.5]


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    with pytest.raises(UserError, match="no complete run"):
        find([tmp_path])
    with pytest.raises(UserError, match="no such folder"):
        find([tmp_path / "gone"])
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    with pytest.raises(UserError, match=r"no mrr@10; it measured ndcg@10"):
        check_measured(find([tmp_path]).runs, ["mrr@10"])
    run_folder(tmp_path / "1", "bm25", 1, [1.0])
    with pytest.raises(UserError, match="same run, bm25-infonce with seed 1"):
        arms(find([tmp_path]).runs)


def test_damaged_files_are_told_by_their_name(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    run_folder(tmp_path / "1", "bm25", 2, [1.0])
    (tmp_path / "0" / "summary.json").write_text('{"strategy": "bm')
    (tmp_path / "1" / "per_query.parquet").write_bytes(b"PAR1")
    found = find([tmp_path])
    assert [run.folder.name for run in found.runs] == ["1"]
    assert "its summary.json is damaged" in found.left_out[tmp_path / "0"]
    with pytest.raises(UserError, match=r"1/per_query.parquet is damaged .*; delete summary.json there"):
        found.runs[0].per_query  # noqa: B018


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_table_that_is_damaged_inside_is_told_by_its_name(tmp_path, at):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    table = tmp_path / "0" / "per_query.parquet"
    written = bytearray(table.read_bytes())
    middle = int(len(written) * at)
    written[middle : middle + 40] = b"\xff" * 40
    table.write_bytes(bytes(written))
    with pytest.raises(UserError, match=r"0/per_query.parquet is damaged"):
        find([tmp_path]).runs[0].per_query  # noqa: B018


def test_a_folder_that_is_named_twice_counts_once(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    assert len(find([tmp_path, tmp_path / "0"]).runs) == 1


def test_runs_on_other_data_of_the_same_name_are_refused(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    run_folder(tmp_path / "1", "random", 1, [1.0], test_set="other")
    with pytest.raises(UserError, match=r"0 and .*1 were tested on different corpora"):
        arms(find([tmp_path]).runs)


def test_runs_with_other_queries_are_refused(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    run_folder(tmp_path / "1", "random", 1, [1.0, 0.5])
    with pytest.raises(UserError, match=r"different queries \(1 and 2, 1 of them in both\)"):
        arms(find([tmp_path]).runs)


def test_unfinished_runs_are_listed_and_left_out(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0])
    for name, job in (("1", "train"), ("2", "mine")):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "config.yaml").write_text("seed: 1")
        (tmp_path / name / ".hydra" / "hydra.yaml").write_text(json.dumps({"hydra": {"job": {"name": job}}}))
    found = find([tmp_path])
    assert len(found.runs) == 1 and list(found.left_out) == [tmp_path / "1"]
    assert found.left_out[tmp_path / "1"].endswith("hardneg resume continues it")
    with pytest.raises(UserError, match=r"unfinished: .*1"):
        find([tmp_path / "1"])
    for status, says in (
        (
            {"state": "failed", "error": "the training has diverged"},
            "failed (hardneg resume tries it again): the training has diverged",
        ),
        ({"state": "pruned"}, "pruned: its search or race ended it early"),
    ):
        (tmp_path / "1" / "status.json").write_text(json.dumps(status))
        assert find([tmp_path]).left_out[tmp_path / "1"] == says


def test_runs_that_differ_in_more_than_the_seed_are_different_arms(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0], config={"optimizer": {"lr": 0.1}})
    run_folder(tmp_path / "1", "bm25", 2, [1.0], config={"optimizer": {"lr": 0.1}})
    run_folder(tmp_path / "2", "bm25", 1, [0.5], config={"optimizer": {"lr": 0.2}})
    run_folder(tmp_path / "3", "random", 1, [0.5], config={"optimizer": {"lr": 0.3}})
    by_arm = arms(find([tmp_path]).runs)
    assert {name: list(arm.runs) for name, arm in by_arm.items()} == {
        "bm25-infonce optimizer.lr=0.1": [1, 2],
        "bm25-infonce optimizer.lr=0.2": [1],
        "random-infonce": [1],
    }


def test_arms_with_other_filters_are_named_by_their_filters(tmp_path):
    known = {"known_positives": {"at": "both"}}
    run_folder(tmp_path / "0", "mined", 1, [1.0], config={"filter": {}})
    run_folder(tmp_path / "1", "mined", 1, [1.0], config={"filter": known})
    run_folder(tmp_path / "2", "mined", 1, [1.0], config={"filter": {**known, "relative_margin": {"margin": 0.05}}})
    assert set(arms(find([tmp_path]).runs)) == {
        "mined-infonce filter=none",
        "mined-infonce filter=known_positives",
        "mined-infonce filter=known_positives+relative_margin",
    }


def test_arms_with_other_rules_for_pairs_are_named_by_their_rules(tmp_path):
    run_folder(tmp_path / "0", "mined", 1, [1.0], config={"pairs": {}})
    run_folder(tmp_path / "1", "mined", 1, [1.0], config={"pairs": {"length": {"least": 3}}})
    assert set(arms(find([tmp_path]).runs)) == {"mined-infonce pairs=none", "mined-infonce pairs=length"}


def test_a_part_that_some_leave_out_tells_arms_apart(tmp_path):
    moving = {"curriculum": {"slots": 4, "share": {"bm25": [0, 1]}}}
    for number, config in enumerate([{"curriculum": None}, moving, {"curriculum": None}, moving]):
        run_folder(tmp_path / str(number), "a", 1 + number // 2, [0.5, 0.6], config=config)
    found = arms(find([tmp_path]).runs)
    named = {name: sorted(arm.runs) for name, arm in found.items()}
    assert named == {"a-infonce curriculum=None": [1, 2], "a-infonce curriculum=given": [1, 2]}


def test_a_part_that_only_some_have_is_named_by_what_it_is(tmp_path):
    topics = {"batches": {"_target_": "hardneg.mining.topics.Topics", "clusters": 4}}
    for name, config in (("with", topics), ("without", {"batches": None})):
        run_folder(tmp_path / name, "a", 1, [0.1, 0.2], config=config)
    assert set(arms(find([tmp_path]).runs)) == {"a-infonce batches=topics", "a-infonce batches=None"}


def test_arms_with_another_encoder_are_named_by_its_class_alone(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0], config={"encoder": {"_target_": "a.Static", "lr": 0.1}})
    run_folder(tmp_path / "1", "bm25", 1, [1.0], config={"encoder": {"_target_": "a.Transformer", "lr": 0.2}})
    assert set(arms(find([tmp_path]).runs)) == {"bm25-infonce encoder=Static", "bm25-infonce encoder=Transformer"}


def test_what_two_arms_differ_in_without_saying_so(tmp_path):
    run_folder(tmp_path / "0", "bm25", 1, [1.0], config={"batch_size": 64, "loss": {"infonce": {"temperature": 0.05}}})
    run_folder(tmp_path / "1", "mined", 1, [1.0], config={"batch_size": 32, "loss": {"infonce": {"temperature": 0.05}}})
    by_arm = arms(find([tmp_path]).runs)
    assert unnamed_differences(by_arm["mined-infonce"], by_arm["bm25-infonce"]) == ["batch_size=32 (64)"]


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Write a W&B log as training does."""
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")

    def write(strategy, seed, folder):
        config = {"strategy_name": strategy, "loss_id": "infonce", "seed": seed, "data_id": "toy"}
        job = WandbRun(
            project="toy", name=f"{strategy}-s{seed}", dir=tmp_path / "log", folder=folder, mode="offline",
            config={**config, "run_folder": str(folder)},
        )  # fmt: skip
        with job as logger:
            logger.log_metrics({"val/ndcg@10": 0.25}, step=4)
            logger.log_metrics({"test/ndcg@10": 0.5}, step=5)

    yield write
    wandb.teardown()


def test_runs_are_read_from_offline_logs(tmp_path, logged):
    logged("bm25", 1, run_folder(tmp_path / "runs" / "0", "bm25", 1, [0.5, 0.25]))
    logged("random", 1, tmp_path / "gone")
    by_arm = arms(find([tmp_path / "log"]).runs)
    bm25, random = by_arm["bm25-infonce"], by_arm["random-infonce"]
    assert bm25.runs[1].folder == tmp_path / "runs" / "0", "the log names the run folder, which has the values"
    assert random.runs[1].per_query is None and random.runs[1].mean("ndcg@10") == 0.5
    assert random.runs[1].history("val/ndcg@10") == ([4], [0.25])
    assert bm25.minus(random, "ndcg@10") is None
    np.testing.assert_allclose(bm25.minus_by_seed(random, "ndcg@10"), [0.375 - 0.5])


def test_a_rate_that_was_found_is_that_of_the_run(tmp_path):
    run_folder(tmp_path / "a-1", "a", 1, [0.5, 0.5], config={"encoder": {"lr": "auto"}})
    (tmp_path / "a-1" / "status.json").write_text('{"learning_rate": 0.005}')
    run_folder(tmp_path / "a-2", "a", 2, [0.5, 0.5], config={"encoder": {"lr": 0.01}})
    assert [run.config["encoder.lr"] for run in find([tmp_path]).runs] == [0.005, 0.01]


def test_a_batch_that_was_found_is_that_of_the_run(tmp_path):
    """Hydra writes the config of a finished job anew, as it was asked for, when its sweep is asked for again."""
    run_folder(tmp_path / "a-1", "a", 1, [0.5, 0.5], config={"batch_size": "auto"})
    (tmp_path / "a-1" / "status.json").write_text('{"batch_size": 32}')
    run_folder(tmp_path / "a-2", "a", 2, [0.5, 0.5], config={"batch_size": 32})
    assert [run.config["batch_size"] for run in find([tmp_path]).runs] == [32, 32]
