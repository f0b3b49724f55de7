"""Running the command line as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def hardneg(tmp_path, cache):
    """Run `hardneg ...` in an empty folder; checks the exit code and returns the finished process."""

    def run(*arguments: str, code: int = 0, **extra: str) -> subprocess.CompletedProcess:
        env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
        env |= {
            "HOME": str(tmp_path / "home"),
            "HARDNEG_CACHE": str(cache),
            "HARDNEG_TARGETS": "interrupts.",
            "PYTHONPATH": str(HERE),
            "WANDB_ERROR_REPORTING": "false",
            **extra,
        }
        done = subprocess.run(
            [sys.executable, "-m", "hardneg.cli", *arguments],
            cwd=tmp_path, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done

    return run


SMALL = ["data=toy", "encoder.dim=32", "batch_size=32", "optimizer.lr=0.01", "trainer.log_every_n_steps=1"]


@pytest.fixture
def small() -> list[str]:
    """A run of seconds on the toy world: 11 steps an epoch."""
    return list(SMALL)
