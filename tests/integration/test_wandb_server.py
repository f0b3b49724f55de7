"""What a W&B server gets: an online run, a run that was killed and resumed, and a sweep that was synced later."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from run_folders import column, rows

from hardneg.config import classes
from hardneg.mining.audit import SuspiciousNegative
from hardneg.runs.drawn_stores import read_stores
from hardneg.runs.saved_config import open_data, read_config


def steps(run, metric="train/loss"):
    return [row["trainer/global_step"] for row in run.history if metric in row]


def metrics(folder):
    """metrics.csv as {metric: {step: value}}."""
    keys = {key for row in rows(folder) for key in row} - {"step", "epoch"}
    return {key: dict(column(folder, key)) for key in keys}


def assert_complete(server, run, folder, strategy, group=None):
    """Field by field: who it is, the whole config, every logged value, the summary, and tables of what was mined."""
    assert server.unknown == []
    assert run.name == (folder / "wandb_run_id").read_text().strip()
    assert (run.shown, run.group, run.job_type, run.exit_code) == (f"toy-{strategy}-infonce-s1", group, "train", 0)
    assert sorted(run.tags) == sorted([*strategy.split("+"), "infonce", "toy"])
    assert_config(run, folder, strategy)
    assert_history(run, folder)
    assert_summary(run, folder, strategy)
    mined = {"bm25"} & set(strategy.split("+"))
    tables = {key for row in run.history for key, value in row.items() if isinstance(value, dict)}
    assert tables == {f"mined/{source}" for source in mined}
    for source in mined:
        assert_table(server, run, source, folder)


def assert_config(run, folder, strategy):
    """The config as the run folder has it, resolved, and flat keys to group by."""
    flat = {"negatives_id": strategy, "loss_id": "infonce", "data_id": "toy", "encoder_id": "static"}
    flat |= {"filter_id": "known_positives", "run_folder": str(folder)}
    written = {key: value for key, value in classes.plain(read_config(folder)).items() if value != {}}  # as W&B does
    told = json.loads((folder / "summary.json").read_text())
    told = {key: told[key] for key in ("hardneg", "packages", "data_path", "command", "host", "commit", "repository")}
    own = {key: value for key, value in run.config.items() if key != "_wandb"}
    assert own == {**written, **flat, "provenance": told}
    assert (run.config["strategy_name"], run.config["seed"]) == (strategy, 1)
    assert set(run.config["negatives"]) == set(strategy.split("+"))


def assert_history(run, folder):
    """Every value of metrics.csv at its step, in one unbroken numbering, and no other metric."""
    written = {metric: values for metric, values in metrics(folder).items() if "_epoch" not in metric}
    for metric, values in written.items():
        logged = {row["trainer/global_step"]: row[metric] for row in run.history if metric in row}
        assert logged == pytest.approx(values), metric
    own = {"trainer/global_step", "epoch", "_step", "_runtime", "_timestamp"}
    keys = {key for row in run.history for key in row if not key.startswith("mined/") and "_epoch" not in key}
    assert keys - own == written.keys()
    assert [row["_step"] for row in run.history] == list(range(len(run.history)))


def assert_summary(run, folder, strategy):
    """The last value of every metric, of the dev metrics also the best, and the test results of summary.json."""
    results = json.loads((folder / "summary.json").read_text())
    for metric, values in metrics(folder).items():
        if metric.startswith("val/"):
            trained = {step: value for step, value in values.items() if step}  # the untrained model is no best
            best = {"max": max(trained.values()), "last": values[max(values)]}
            assert run.summary[metric] == pytest.approx(best), metric
        elif "_epoch" not in metric:
            assert run.summary[metric] == pytest.approx(values[max(values)]), metric
    assert {f"test/{key}": run.summary[f"test/{key}"] for key in results["test"]["after"]} == pytest.approx(
        {f"test/{key}": value for key, value in results["test"]["after"].items()}
    )
    stores = {key.removeprefix("stores/"): value["name"] for key, value in run.summary.items() if "stores/" in key}
    assert stores == {source: names[-1] for source, names in read_stores(folder, strategy.split("+")).items()}


def assert_table(server, run, source, folder):
    """The sample of a mined list, with texts, as the run's table."""
    (table,) = (one for one in server.artifacts if one["name"].startswith(f"run-{run.name}-mined{source}-"))
    assert (table["type"], table["made_by"], table["committed"]) == ("run_table", run.name, True)
    (name,) = (name for name in table["files"] if name != "manifest")
    sample = json.loads(table["files"][name])
    assert (
        sample["columns"] == [field.name for field in dataclasses.fields(SuspiciousNegative)]
        and len(sample["data"]) == 20
    )
    texts = set(open_data(folder).corpus.texts.to_pylist())
    assert all({row[1], row[2]} <= texts for row in sample["data"])


def test_an_online_run_is_complete_on_the_server(hardneg, small, server, tmp_path):
    hardneg("train", *small, "strategy=bm25", "trainer.max_epochs=1", "hydra.run.dir=run")
    (run,) = server.runs.values()
    assert_complete(server, run, tmp_path / "run", "in_batch+bm25")
    assert steps(run) == list(range(1, 12))
    assert_results(server, run, tmp_path / "run")
    assert sorted(one["type"] for one in server.artifacts) == ["run-files", "run_table"]
    assert {"config.yaml", "requirements.txt", "wandb-summary.json"} <= set(run.files)


def test_a_killed_run_goes_on_as_the_same_run_without_repeated_or_missing_steps(
    hardneg, hardneg_process, small, server, tmp_path
):
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 7, signal_name: SIGKILL}"
    arguments = [*small, "strategy=random", "trainer.max_epochs=1", "checkpoint.every_n_steps=4", "hydra.run.dir=run"]
    hardneg_process("train", *arguments, stop, code=-9)
    hardneg("resume", "run")
    (run,) = server.runs.values()
    assert_complete(server, run, tmp_path / "run", "in_batch+random")
    assert steps(run) == list(range(1, 12))


def test_an_offline_sweep_can_be_synced_whole(hardneg, small, server, tmp_path):
    sweep = ["-m", "strategy=in_batch,bm25", "hydra.sweep.dir=sweep", "logger.wandb.mode=offline"]
    hardneg("train", *small, "trainer.max_epochs=1", *sweep)
    assert server.runs == {}
    sync(tmp_path)
    assert len(server.runs) == 2
    for run in server.runs.values():
        strategy = run.config["negatives_id"]
        (folder,) = tmp_path.glob(f"sweep/toy-{strategy}-infonce-s1_*")
        assert_complete(server, run, folder, strategy, group="sweep")
        assert_results(server, run, folder)


def sync(folder):
    runs = sorted(map(str, folder.glob("wandb/offline-run-*")))
    done = subprocess.run([sys.executable, "-m", "wandb", "sync", *runs], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def assert_results(server, run, folder):
    """The files of the finished run, byte for byte."""
    (kept,) = (one for one in server.artifacts if one["name"] == f"run-{run.name}")
    assert (kept["type"], kept["made_by"], kept["committed"]) == ("run-files", run.name, True)
    names = {"test.run", "per_query.parquet", "summary.json"}
    assert kept["files"].keys() - {"manifest"} == names
    assert all(kept["files"][name] == (folder / name).read_bytes() for name in names)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_artifacts_link_a_run_to_those_it_builds_on(hardneg, small, server, tmp_path, mode):
    keep = ["logger.wandb.artifacts=[checkpoint,store]", f"logger.wandb.mode={mode}", f"cache={tmp_path}/own"]
    words = [*small, *keep, "strategy=bm25", "trainer.max_epochs=1", "evaluate.before=false"]
    hardneg("train", *words, "hydra.run.dir=first")
    hardneg("train", *words, "hydra.run.dir=second", "init_from=first/checkpoints/best.ckpt", "seed=2")
    shutil.rmtree(tmp_path / "own")  # what was forgotten by the cache can be uploaded still
    if mode == "offline":
        sync(tmp_path)
    first, second = ((tmp_path / name / "wandb_run_id").read_text().strip() for name in ("first", "second"))
    ((_, (store,)),) = read_stores(tmp_path / "first", []).items()
    found = {one["name"]: one for one in server.artifacts if one["type"] != "run_table"}
    assert mode == "offline" or server.again == []  # a sync uploads runs side by side, so either may come first
    assert server.unknown == [] and all(one["committed"] for one in found.values())
    assert found.keys() == {f"checkpoint-{first}", f"checkpoint-{second}", f"store-{store}"}
    used = {name: one["used_by"] for name, one in found.items()}
    assert used == {f"checkpoint-{first}": [second], f"checkpoint-{second}": [], f"store-{store}": [second]}
    weights = (tmp_path / "first/checkpoints/best.ckpt").read_bytes()
    assert found[f"checkpoint-{first}"]["files"]["best.ckpt"] == weights
    assert {"ids.npy", "scores.npy", "reasons.npy", "card.json"} <= found[f"store-{store}"]["files"].keys()
    assert found[f"store-{store}"]["metadata"]["source"] == "bm25"
    given = {"path": str(tmp_path / "first/checkpoints/best.ckpt"), "run_id": first}
    given["sha256"] = hashlib.sha256(weights).hexdigest()
    assert server.runs[second].config["inputs"] == {"init_from": given}
    mined = {name: server.runs[name].summary["stores/bm25"] for name in (first, second)}
    assert mined == {first: {"name": store, "mined": True}, second: {"name": store, "mined": False}}
