"""Running the command line as a user does."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import quick
import warm
from matplotlib.figure import Figure
from patience import patience

HERE = Path(__file__).parent


# A picture of one pixel.
DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def zygote():
    zygote = warm.Zygote.apart()
    yield zygote
    zygote.close()


def dotted(figure, to, draw=Figure.savefig, **how):
    """Write a dot in place of a png."""
    if str(to).endswith(".png"):
        Path(to).write_bytes(DOT)
    else:
        draw(figure, to, **how)


@pytest.fixture
def environment(request, tmp_path, cache, zygote, monkeypatch):
    if request.node.get_closest_marker("draws") is None:  # drawing takes a tenth of a run's time
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", dotted)
    monkeypatch.setattr(warm.WarmPopen, "zygote", zygote, raising=False)
    monkeypatch.setattr(subprocess, "Popen", warm.WarmPopen)
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HARDNEG_CACHE", str(cache))
    monkeypatch.setenv("HARDNEG_TARGETS", "interrupts.")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hardneg(environment, monkeypatch):
    """Run `hardneg ...` in an empty folder and in this process (importing takes seconds); checks the exit code."""

    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", quick.composing_once())

    def run(*arguments: str, code: int = 0):
        from hydra.core.global_hydra import GlobalHydra

        from hardneg import cli
        from hardneg.system.as_before import as_before

        out, err, got = io.StringIO(), io.StringIO(), 0
        monkeypatch.setattr(sys, "argv", ["hardneg", *arguments])
        # Logging as it was before: other tests look at what is said, and by whom.
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), as_before():
            try:
                cli.main()
            except SystemExit as stop:
                got = stop.code or 0
            except Exception:  # as Python itself would end
                traceback.print_exc(file=err)
                got = 1
            finally:
                GlobalHydra.instance().clear()
        assert got == code, f"exit {got}\n{out.getvalue()[-3000:]}\n{err.getvalue()[-6000:]}"
        return SimpleNamespace(stdout=out.getvalue(), stderr=err.getvalue())

    return run


@pytest.fixture(scope="module")
def once():
    """What several tests of a file compare with, by name: made by the first that asks, kept until the file is done."""
    made: dict[str, Any] = {}

    def once(name: str, make: Callable[[], Any]) -> Any:
        if name not in made:
            made[name] = make()
        return made[name]

    return once


@pytest.fixture
def separate(tmp_path):
    """The words that give a run a cache of its own: nothing may be shared but what the run wrote itself."""
    return lambda name: [f"cache={tmp_path / name}-cache", f"hydra.run.dir={name}"]


@pytest.fixture
def server(environment, monkeypatch):
    """A server on the loopback that the next runs log to, and a W&B session of the test's own."""
    import wandb
    from wandb_standin import serving

    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.delenv("WANDB_SERVICE", raising=False)
        wandb.teardown()
        yield server
        wandb.teardown()


@pytest.fixture
def hardneg_process(environment):
    """Run `hardneg ...` in a process of its own, which may be killed; checks the exit code."""

    def run(*arguments: str, code: int = 0) -> SimpleNamespace:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            command = [sys.executable, "-m", "hardneg.cli", *arguments]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
            try:
                process.wait(patience(200))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # what it started must go too
                process.wait()
            out.seek(0)
            err.seek(0)
            said, complained = out.read(), err.read()
        got = process.returncode
        assert got == code, f"exit {got}\n{said[-3000:]}\n{complained[-6000:]}"
        return SimpleNamespace(stdout=said, stderr=complained, returncode=got)

    return run


@pytest.fixture
def small() -> list[str]:
    """A run of seconds on the toy world: 11 steps an epoch."""
    return ["data=toy", "encoder.dim=32", "batch_size=32", "optimizer.lr=0.01", "trainer.log_every_n_steps=1"]
