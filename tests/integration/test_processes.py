"""The launcher of processes: several jobs at a time that share the cache, fail alone, and outlive no launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

from hardneg.runs import status
from hardneg.runs.folder import CHECKPOINTS, LAST

TINY = ["data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6", "encoder.dim=8"]
TINY += ["batch_size=4", "optimizer.lr=0.01", "logger=csv", "strategy=bm25", "trainer.accelerator=cpu"]
TINY += ["checkpoint.every_n_steps=2", "evaluate.before=false", "hydra.sweep.dir=sweep", "hydra/launcher=processes"]
SLOW = "+callbacks.slow={_target_: interrupts.Slow, seconds: 0.2}"


def folders(tmp_path):
    return sorted(path.parent for path in tmp_path.glob("sweep/*/status.json"))


def wait(true, seconds=600):  # a busy machine takes minutes to import torch
    for _ in range(seconds * 10):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def at_work(tmp_path, jobs):
    """Whether so many jobs run, and one of them has a checkpoint to go on from."""
    found = [status.read(folder)["state"] for folder in folders(tmp_path)]
    return found == ["running"] * jobs and any((folder / CHECKPOINTS / LAST).exists() for folder in folders(tmp_path))


def test_jobs_share_the_cache_stop_by_ctrl_c_go_on_and_fail_alone(hardneg, tmp_path):
    fail = "+callbacks.fail={_target_: interrupts.FailInRun, step: 1, text: -s2_}"
    command = ["train", "-m", *TINY, SLOW, fail, "seed=1,2", "cache=own", "trainer.max_epochs=2"]

    def ctrl_c():
        wait(lambda: at_work(tmp_path, 2))
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=ctrl_c, daemon=True)
    helper.start()
    stopped = hardneg(*command, code=130)
    helper.join()
    assert "2 jobs: 2 interrupted" in stopped.stdout
    one, two = folders(tmp_path)
    said = (one / "output.log").read_text() + (two / "output.log").read_text()
    # BM25 for the lists and for the baseline, which have depths of their own
    assert said.count("tokenised 60 queries") == said.count("tokenised 120 documents") == said.count("mined bm25") == 1

    (tmp_path / "broken").touch()
    ended = hardneg(*command, code=1)
    assert "2 jobs: 1 failed, 1 done" in ended.stdout and "RuntimeError: broken on purpose" in ended.stdout
    assert "running" in ended.stderr and "[2/2]" in ended.stderr
    logs = [(folder / "output.log").read_text() for folder in (one, two)]
    assert any("resuming from" in log for log in logs) and "Traceback" in logs[1]
    assert status.read(one)["steps"] == 18 and status.read(one)["result"] is not None


def test_a_job_of_two_ranks_stops_with_a_killed_launcher_and_goes_on(hardneg, tmp_path):
    command = ["train", "-m", *TINY, SLOW, "trainer.devices=2", "trainer.max_epochs=4"]
    with subprocess.Popen([sys.executable, "-m", "hardneg.cli", *command], start_new_session=True) as launcher:
        wait(lambda: at_work(tmp_path, 1))
        launcher.kill()
    (folder,) = folders(tmp_path)
    wait(lambda: status.read(folder)["state"] == "interrupted")
    assert "hardneg resume" in (folder / "output.log").read_text()
    ended = hardneg(*command)
    assert "1 job: 1 done" in ended.stdout
    log = (folder / "output.log").read_text()
    assert log.count("resuming from") == 1 and status.read(folder)["step"] == 16
