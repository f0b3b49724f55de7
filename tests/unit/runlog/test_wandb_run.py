"""W&B runs: one per job, offline without a key, readable back, and nothing that leaks into the next job."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import wandb
import warm
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from hardneg.errors import ConfigError, DataError, UserError
from hardneg.runlog import wandb_mode, wandb_read, wandb_run
from hardneg.runlog.artifacts import check_kinds
from hardneg.runlog.wandb_run import WandbRun

NO_SERVER = "http://127.0.0.1:9"
CONFIG = {
    "negatives": {"bm25": {"k": 8}, "random": {"k": 2}},
    "negatives_id": "bm25+random",
    "loss_id": "infonce",
    "filter_id": "none",
    "data_id": "toy",
    "encoder_id": "mean",
    "seed": 1,
}


@pytest.fixture(autouse=True)
def no_account(tmp_path, monkeypatch):
    """Give the test an empty home, no W&B settings and a W&B session of its own."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name.lower().endswith("_proxy") or name == "NETRC":
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # at exit it would retry servers that are gone
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    wandb.teardown()
    yield
    wandb.teardown()
    os.environ.pop("WANDB_SERVICE", None)


@pytest.fixture
def key(monkeypatch):
    """Configure a key and a server that is not there."""
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", NO_SERVER)


def job(tmp_path: Path, name: str = "bm25-s1", **changes) -> WandbRun:
    arguments = {
        "project": "toy", "name": name, "dir": tmp_path, "folder": tmp_path / "runs" / name, "config": CONFIG,
        "group": "sweep", "tags": ["bm25"], "best": ["val/ndcg@10"],
    }  # fmt: skip
    return WandbRun(**(arguments | changes))


@pytest.fixture
def late(monkeypatch):
    """Let the second half of a run's log be missing when the run is closed; returns what puts it there."""
    finish, missing = wandb.Run.finish, {}

    def finish_late(run, **given):
        finish(run, **given)
        wandb.teardown()  # writes what there is
        (file,) = Path(run.dir).parent.glob("*.wandb")
        missing[file] = file.read_bytes()
        file.write_bytes(missing[file][: len(missing[file]) // 2])
        on_close()

    def write():
        for file, whole in missing.items():
            file.write_bytes(whole)

    def on_close():
        for timer in timers:
            timer.start()

    timers = []
    monkeypatch.setattr(wandb.Run, "finish", finish_late)
    return lambda seconds: timers.append(threading.Timer(seconds, write))


def test_the_log_of_a_run_is_whole_when_the_run_has_ended(tmp_path, late):
    """W&B's service may write the end of it a little later."""
    late(0.5)
    with job(tmp_path) as logger:
        folder = Path(logger.experiment.dir).parent
        for step in range(40):
            logger.log_metrics({"train/loss": 1.0}, step=step)
    assert len(wandb_read.history(folder)) == 40


def test_a_log_that_is_never_whole_is_told_and_ends_no_run(tmp_path, late, monkeypatch, caplog):
    monkeypatch.setattr(wandb_run, "_PATIENCE", 0.2)
    with job(tmp_path) as logger:
        folder = Path(logger.experiment.dir).parent
    assert f"W&B's log in {folder} is incomplete after 0.2 s" in caplog.text


def test_offline_without_a_key_and_without_a_prompt(tmp_path, capfd, caplog):
    caplog.set_level(logging.INFO)
    with job(tmp_path) as logger:
        for step, value in enumerate([0.75, 0.25, 0.5, 0.375]):  # the untrained model's is no best
            logger.log_metrics({"train/loss": 1.0, "val/ndcg@10": value}, step=step)
        logger.log_metrics({"train/loss": 1.0}, step=4)
    (run,) = wandb_read.runs(tmp_path)
    assert (run["name"], run["group"], run["job_type"], run["state"]) == ("bm25-s1", "sweep", "train", "finished")
    assert run["config"] == CONFIG and run["tags"] == ["bm25"]
    assert run["summary"]["val/ndcg@10"] == {"max": 0.5, "last": 0.375}
    assert (tmp_path / "runs/bm25-s1/wandb_run_id").read_text().strip() == run["run_id"]
    history = wandb_read.history(run["dirs"][0])
    assert [row["trainer/global_step"] for row in history] == [0, 1, 2, 3, 4]
    assert run["dirs"][0].parent == tmp_path / "wandb"
    assert capfd.readouterr() == ("", "")
    assert f"wandb leet {tmp_path / 'wandb'}" in caplog.text


def test_two_jobs_in_one_process_are_two_runs(tmp_path):
    with pytest.raises(ValueError, match="job 0"), job(tmp_path, "first") as logger:
        logger.log_metrics({"train/loss": 1.0}, step=0)
        raise ValueError("job 0")
    assert wandb.run is None
    with job(tmp_path, "second", config=CONFIG | {"seed": 2}, job_type="eval") as logger:
        logger.log_metrics({"train/loss": 2.0}, step=0)
    first, second = wandb_read.runs(tmp_path)
    assert (first["name"], first["state"], first["exit_code"]) == ("first", "failed", 1)
    assert (second["name"], second["state"], second["job_type"]) == ("second", "finished", "eval")
    assert first["group"] == second["group"] == "sweep"
    assert first["run_id"] != second["run_id"] and second["config"]["seed"] == 2
    assert [row["train/loss"] for run in (first, second) for row in wandb_read.history(run["dirs"][0])] == [1.0, 2.0]


def test_a_leaked_run_is_closed(tmp_path):
    leaked = wandb.init(mode="offline", dir=str(tmp_path), name="leaked", settings=wandb.Settings(silent=True))
    with job(tmp_path) as logger:
        assert logger.experiment.id != leaked.id
    assert {run["name"]: run["state"] for run in wandb_read.runs(tmp_path)} == {
        "leaked": "failed",
        "bm25-s1": "finished",
    }


def test_environment_is_as_before(tmp_path):
    before = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    for folder in ("one", "two"):
        with job(tmp_path, dir=tmp_path / folder):
            assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / folder / "wandb/data")
    with pytest.raises(ConfigError), job(tmp_path, mode="offlin"):
        pass
    assert {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"} == before


def test_resume_keeps_the_id_and_counts_as_one_run(tmp_path):
    for value in (0.5, 0.25):
        with job(tmp_path) as logger:
            logger.log_metrics({"val/ndcg@10": value}, step=0)
    (run,) = wandb_read.runs(tmp_path)
    assert len(run["dirs"]) == 2
    assert run["summary"]["val/ndcg@10"] == {"max": 0.5, "last": 0.25}


def test_auto_with_an_unreachable_server_goes_offline_within_seconds(tmp_path, key, caplog):
    start = time.monotonic()
    with job(tmp_path) as logger:
        logger.log_metrics({"train/loss": 1.0}, step=0)
    assert time.monotonic() - start < 10
    assert f"{NO_SERVER} cannot be reached; this run is logged offline" in caplog.text
    assert len(wandb_read.runs(tmp_path)) == 1


def test_auto_falls_back_when_the_server_does_not_speak_wandb(tmp_path, monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_refuse_requests, args=(server,), daemon=True).start()
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        with job(tmp_path) as logger:
            assert logger.experiment.offline
            logger.log_metrics({"train/loss": 1.0}, step=0)
    (run,) = wandb_read.runs(tmp_path)
    assert run["state"] == "finished" and len(wandb_read.history(run["dirs"][-1])) == 1
    assert "could not be started" in caplog.text


def _refuse_requests(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_explicit_online_says_what_to_do(tmp_path, key, monkeypatch):
    with (
        pytest.raises(UserError, match=r"cannot be reached.*logger\.wandb\.mode=offline"),
        job(tmp_path, mode="online"),
    ):
        pass
    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()
    with pytest.raises(UserError, match=r"no API key.*logger\.wandb\.mode=offline"), job(tmp_path, mode="online"):
        pass
    assert not (tmp_path / "runs").exists()


def test_mode_follows_what_the_user_configured(tmp_path, monkeypatch):
    assert wandb_mode.choose("auto") == ("offline", False)
    monkeypatch.setattr(wandb_mode, "_reachable", lambda *_: True)
    (tmp_path / "home/.netrc").write_text("machine wandb.example.org login user password " + "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    wandb.teardown()
    assert wandb_mode.choose("auto") == ("online", False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_mode.choose("auto") == ("offline", True)
    assert wandb_mode.choose("online") == ("online", True)
    assert wandb_mode.choose("disabled") == ("disabled", True)


def test_reachable_through_a_proxy(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        assert wandb_mode._reachable("https://server.invalid", address)
        assert wandb_mode._reachable(f"http://{address}", None)
    assert not wandb_mode._reachable("https://server.invalid", NO_SERVER)


def test_disabled_leaves_nothing(tmp_path):
    with job(tmp_path, mode="disabled") as logger:
        logger.log_metrics({"train/loss": 1.0}, step=0)
    assert wandb_read.runs(tmp_path) == [] and not (tmp_path / "runs").exists()


def test_other_ranks_make_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with job(tmp_path) as logger:
        logger.log_metrics({"train/loss": 1.0}, step=0)
        logger.experiment.log({"train/loss": 1.0})
    assert wandb.run is None and [path.name for path in tmp_path.iterdir()] == ["home"]


def _killed(folder: Path, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with WandbRun(project="toy", name="killed", dir=folder, folder=folder, config={}) as logger:
        for step in range(100):
            logger.log_metrics({"train/loss": 1 / (step + 1)}, step=step)
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)


def test_kill_9_keeps_most_rows(tmp_path):
    killed = warm.context.Process(target=_killed, args=(tmp_path, dict(os.environ)))
    killed.start()
    killed.join()
    assert killed.exitcode == -9
    (run,) = wandb_read.runs(tmp_path)
    history = wandb_read.history(run["dirs"][0])
    assert len(history) >= 50
    assert [row["trainer/global_step"] for row in history] == list(range(len(history)))
    assert run["state"] == "running"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"logger\.wandb\.dir=.*cannot write"), job(tmp_path, dir=tmp_path / "file"):
        pass
    assert "WANDB_DATA_DIR" not in os.environ


@pytest.mark.parametrize("left", [None, b"no log of W&B"])
def test_an_attempt_that_left_no_log_or_a_damaged_one_does_not_keep_a_run_from_going_on(tmp_path, left, caplog):
    with job(tmp_path) as logger:
        logger.log_metrics({"train/loss": 0.5}, step=1)
    (run,) = wandb_read.runs(tmp_path)
    killed = tmp_path / "wandb" / f"offline-run-20260101_000000-{run['run_id']}"
    killed.mkdir()
    if left is not None:
        (killed / f"run-{run['run_id']}.wandb").write_bytes(left)
    with job(tmp_path) as logger:
        logger.log_metrics({"train/loss": 0.5}, step=1)
        logger.log_metrics({"train/loss": 0.25}, step=2)
    assert str(killed) in caplog.text
    whole = [folder for folder in (tmp_path / "wandb").glob("offline-run-*") if folder != killed]
    steps = [row["trainer/global_step"] for folder in whole for row in wandb_read.history(folder)]
    assert sorted(steps) == [1, 2], "what the whole logs have is not logged again"


def test_history_of_a_folder_without_a_log(tmp_path):
    with pytest.raises(DataError, match="no W&B log"):
        wandb_read.history(tmp_path)


def artifacts(run_dir):
    """The artifacts of an offline log: name, type, the files, and whether they are inputs."""
    (file,) = run_dir.glob("*.wandb")
    found = [record["artifact"] for record in wandb_read._records(file) if record["type"] == "artifact"]
    return {one["name"]: one for one in found}


def test_offline_artifacts_are_in_the_log_with_their_files(tmp_path):
    run = tmp_path / "runs/bm25-s1"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("test.run", "per_query.parquet", "summary.json", "metrics.csv", "checkpoints/best.ckpt"):
        (run / name).write_text(name)
    earlier = tmp_path / "runs/first/checkpoints"
    earlier.mkdir(parents=True)
    (earlier / "best.ckpt").write_text("weights")
    (earlier.parent / "wandb_run_id").write_text("0ld1d\n")
    store = tmp_path / "cache/stores/abc"
    store.mkdir(parents=True)
    (store / "card.json").write_text("{}")
    keys = {"init_from": str(earlier / "best.ckpt"), "teacher.ckpt_path": str(tmp_path / "gone.ckpt")}
    with job(tmp_path, artifacts=["run", "checkpoint", "store"], inputs=keys) as logger:
        logger.log_store("mined", store, {"miner": "bm25"}, mined=False)
        logger.log_run(run, run / "checkpoints/best.ckpt")
    (entry,) = wandb_read.runs(tmp_path)
    traced = {"path": str(earlier / "best.ckpt"), "run_id": "0ld1d"}
    assert entry["config"]["inputs"]["init_from"].items() >= traced.items()
    assert list(entry["config"]["inputs"]) == ["init_from"]
    assert entry["summary"]["stores/mined"] == {"name": "abc", "mined": False}
    found = artifacts(entry["dirs"][0])
    mine = entry["run_id"]
    assert found.keys() == {f"run-{mine}", f"checkpoint-{mine}", "checkpoint-0ld1d", "store-abc"}
    used = {name for name, one in found.items() if one.get("use_after_commit")}
    assert used == {"checkpoint-0ld1d", "store-abc"}
    files = {one["path"]: Path(one["local_path"]) for one in found[f"run-{mine}"]["manifest"]["contents"]}
    assert files.keys() == {"test.run", "per_query.parquet", "summary.json"}
    assert all(path.is_absolute() and path.read_text() == name for name, path in files.items())
    (linked,) = found["store-abc"]["manifest"]["contents"]
    assert linked["local_path"] == str(tmp_path / "wandb/data/stores/abc/card.json")


def test_by_default_no_checkpoint_and_no_list_is_kept_but_inputs_are_named(tmp_path):
    weights = tmp_path / "some.ckpt"
    weights.write_text("weights")
    with job(tmp_path, inputs={"init_from": str(weights)}) as logger:
        logger.log_store("mined", tmp_path, {}, mined=True)
        logger.log_run(tmp_path, weights)
    (entry,) = wandb_read.runs(tmp_path)
    assert entry["config"]["inputs"]["init_from"].keys() == {"path", "sha256"}
    assert list(artifacts(entry["dirs"][0])) == [f"run-{entry['run_id']}"]


def test_an_artifact_that_cannot_be_logged_is_a_warning(tmp_path, caplog, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("no more\nspace")

    monkeypatch.setattr(wandb.Artifact, "add_file", refuse)
    (tmp_path / "test.run").write_text("")
    with job(tmp_path) as logger:
        logger.log_run(tmp_path, tmp_path / "gone.ckpt")
    assert "not logged: no more space" in caplog.text
    assert wandb_read.runs(tmp_path)[0]["state"] == "finished"


@pytest.mark.parametrize("kinds", ["run", ["runs"], 3, ["run", "weights"]])
def test_only_known_kinds_are_kept(tmp_path, kinds):
    with pytest.raises(ConfigError, match=r"artifacts=.*run, checkpoint, store"):
        check_kinds(kinds)


@pytest.mark.parametrize("begun", [b"", b":W&B"])
def test_a_log_that_has_not_begun_is_not_whole(begun, tmp_path):
    (tmp_path / "run-a1.wandb").write_bytes(begun)
    assert not wandb_read.wait_until_whole(tmp_path, 0.0)
