"""What a W&B server gets: an online run, a run that was killed and resumed, and a sweep that was synced later."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
import wandb
from wandb_standin import serving

KEY = "0" * 40


@pytest.fixture
def server(environment, monkeypatch):
    """A server on the loopback that the next runs log to, and a W&B session of the test's own."""
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.delenv("WANDB_SERVICE", raising=False)
        wandb.teardown()
        yield server
        wandb.teardown()


def steps(run, metric="train/loss"):
    return [row["trainer/global_step"] for row in run.history if metric in row]


def metrics(folder):
    """metrics.csv as {metric: {step: value}}."""
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {k: {int(r["step"]): float(r[k]) for r in rows if r[k]} for k in rows[0] if k not in ("step", "epoch")}


def assert_complete(server, run, folder, strategy, group=None):
    assert server.unknown == []
    assert (run.shown, run.group, run.job_type, run.exit_code) == (f"{strategy}-infonce-s1", group, "train", 0)
    assert sorted(run.tags) == sorted([*strategy.split("+"), "infonce", "toy"])
    flat = {"negatives_id": strategy, "loss_id": "infonce", "data_id": "toy", "encoder_id": "static", "seed": 1}
    assert flat.items() <= run.config.items()
    assert set(run.config["negatives"]) == set(strategy.split("+")) and run.config["batch_size"] == 32
    for metric, written in metrics(folder).items():
        if "_epoch" not in metric:
            logged = {row["trainer/global_step"]: row[metric] for row in run.history if metric in row}
            assert logged == pytest.approx(written), metric
    assert set(run.summary["val/ndcg@10"]) == {"max", "last"} and "test/ndcg@10" in run.summary
    assert [row["_step"] for row in run.history] == list(range(len(run.history)))


def test_an_online_run_is_complete_on_the_server(hardneg, small, server, tmp_path):
    hardneg("train", *small, "strategy=bm25", "trainer.max_epochs=1", "hydra.run.dir=run")
    (run,) = server.runs.values()
    assert run.name == (tmp_path / "run/wandb_run_id").read_text().strip()
    assert_complete(server, run, tmp_path / "run", "in_batch+bm25")
    assert steps(run) == list(range(11))
    (table,) = server.artifacts
    assert table["type"] == "run_table" and table["committed"]
    (name,) = (name for name in table["files"] if name != "manifest")
    sample = json.loads(table["files"][name])
    assert sample["columns"][:3] == ["query", "positive", "negative"] and len(sample["data"]) == 20
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
    assert steps(run) == list(range(11))


def test_an_offline_sweep_can_be_synced_whole(hardneg, small, server, tmp_path):
    sweep = ["-m", "strategy=in_batch,random", "hydra.sweep.dir=sweep", "logger.wandb.mode=offline"]
    hardneg("train", *small, "trainer.max_epochs=1", *sweep)
    assert server.runs == {}
    folders = sorted(map(str, tmp_path.glob("wandb/offline-run-*")))
    done = subprocess.run([sys.executable, "-m", "wandb", "sync", *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(server.runs) == 2
    for run in server.runs.values():
        strategy = run.config["negatives_id"]
        (folder,) = tmp_path.glob(f"sweep/{strategy}-infonce-s1_*")
        assert_complete(server, run, folder, strategy, group="sweep")
