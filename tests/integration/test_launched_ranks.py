"""Runs whose ranks torchrun or srun starts: one folder, and the test is of the best checkpoint."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def torchrun(*arguments):
    """Start two ranks by torchrun; return the processes that the caller has to wait for."""
    own = ["--nproc-per-node", "2", "--master-port", free_port()]
    return [[sys.executable, "-m", "torch.distributed.run", *own, "-m", "hardneg.cli", *arguments]], [{}]


def srun(*arguments):
    """Start four tasks as srun does: each with the variables that say which one it is."""
    common = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
    common |= {"SLURM_JOB_NAME": "train", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    tasks = [{**common, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(4)]
    return [[sys.executable, "-m", "hardneg.cli", *arguments]] * 4, tasks


def finish(commands, environments):
    """Wait for all of them; return their exit codes and what they said."""
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [
        subprocess.Popen(command, env={**os.environ, **more}, start_new_session=True, **pipe)
        for command, more in zip(commands, environments, strict=True)
    ]
    said = [process.communicate(timeout=400)[0] for process in started]
    return [process.returncode for process in started], "\n".join(said)


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "ranks"), [(torchrun, 2), (srun, 4)])
def test_the_ranks_share_a_folder_and_test_its_best_checkpoint(hardneg, small, tmp_path, monkeypatch, launcher, ranks):
    """Each composed an outputs/ of its own: rank 0 tested the best weights, the others their last: .1924 for .1895."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = [*small, f"batch_size={32 // ranks}", "trainer.max_epochs=6", "logger=csv", "evaluate.before=false"]
    words += ["trainer.accelerator=cpu", f"trainer.devices={ranks}", "trainer.precision=32-true"]
    codes, said = finish(*launcher("train", *words))
    assert set(codes) == {0}, said
    (run,) = (tmp_path / "outputs").iterdir()
    assert {path.name for path in run.glob("*.log")} == {
        "train.log", *(f"train_rank_{rank}.log" for rank in range(1, ranks))
    }  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    curve = [point["val/ndcg@10"] for point in summary["dev"]["history"]]
    assert curve[-1] < max(curve), "best and last must differ for the test to tell them apart"
    tested = {}
    for kept in ("best", "last"):
        hardneg(
            "evaluate", "data=toy", f"ckpt_path='{run}/checkpoints/{kept}.ckpt'", "precision=32-true",
            f"hydra.run.dir={kept}",
        )  # fmt: skip
        tested[kept] = json.loads((tmp_path / kept / "summary.json").read_text())["test"]["checkpoint"]
    assert summary["test"]["after"] == pytest.approx(tested["best"], abs=1e-9)
    assert tested["best"]["ndcg@10"] != pytest.approx(tested["last"]["ndcg@10"], abs=1e-4)


@pytest.mark.slow
def test_ranks_that_would_train_apart_or_differ_are_refused(environment, small):
    """Two processes and one device were two whole runs, each telling its own result."""
    codes, said = finish(*torchrun("train", *small, "trainer.accelerator=cpu", "logger=csv"))
    assert codes != [0] and "2 processes were started, but trainer.devices" in said
    commands, environments = srun("train", *small, "trainer.accelerator=cpu", "trainer.devices=2", "logger=csv")
    environments = [{**one, "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"} for one in environments[:2]]
    commands = [commands[0], [*commands[1], "seed=2"]]
    started = [
        subprocess.Popen(
            command, env={**os.environ, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command, more in zip(commands, environments, strict=True)
    ]
    try:
        assert "seed=2 (rank 0: 1); start all of them alike" in started[1].communicate(timeout=200)[0]
        assert started[1].returncode == 2
    finally:
        for process in started:  # SLURM would end the other tasks too
            process.kill()
            process.wait()
