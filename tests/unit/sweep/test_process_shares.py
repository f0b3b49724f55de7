"""What the processes of a launch get of the machine; no process is started."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from hardneg.race import executor as racing
from hardneg.runs import status
from hardneg.sweep import processes
from hardneg.sweep.jobs import Job
from hardneg.sweep.machine_shares import Gpus
from hydra_plugins.hardneg import Processes

APP = OmegaConf.create({"hydra": {"launcher": {"n_jobs": 2}, "overrides": {"hydra": []}}})


@pytest.fixture
def started(monkeypatch):
    """The environments of the processes that would have been started, on a machine of 8 cores."""
    environments = []

    class NotStarted(subprocess.Popen):
        returncode, _child_created = 0, False

        def __init__(self, command, env, **_):
            environments.append(env)

    monkeypatch.setattr(subprocess, "Popen", NotStarted)
    monkeypatch.setattr(processes.ProcessPool, "_words", lambda pool, job: ["train"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return environments


def start(folder, shares, jobs, devices=1):
    gpus, pool = Gpus(["0", "1"]), processes.ProcessPool(APP, 2, shares)
    cfg = OmegaConf.create({"trainer": {"accelerator": "auto", "devices": devices}})
    for number in range(jobs):
        pool._start(Job(number, [], cfg, folder / str(number), str(number)), gpus)


def test_two_jobs_on_a_machine_with_two_gpus_have_one_each(tmp_path, started):
    start(tmp_path, shares=2, jobs=2)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in started] == ["0", "1"]
    assert [one["OMP_NUM_THREADS"] for one in started] == ["4", "4"]


@pytest.mark.parametrize(("shares", "gpus", "threads"), [(1, "0,1", "8"), (2, "0", "4")])
def test_a_job_alone_gets_all_or_its_share(tmp_path, started, shares, gpus, threads):
    start(tmp_path, shares, jobs=1, devices="auto")
    assert (started[0]["CUDA_VISIBLE_DEVICES"], started[0]["OMP_NUM_THREADS"]) == (gpus, threads)


@pytest.mark.parametrize(("in_a_race", "jobs", "shares"), [(False, 1, 1), (False, 3, 2), (True, 1, 2), (True, 2, 2)])
def test_a_races_run_has_the_same_share_whatever_is_launched_beside_it(tmp_path, monkeypatch, in_a_race, jobs, shares):
    asked = []
    monkeypatch.setattr(processes, "run", lambda *given: asked.append(given[-1]))
    launcher = Processes(2)
    launcher.config = APP
    if in_a_race:
        racing.Executor(APP, launcher, tmp_path)
    launcher.launch([["seed=1"]] * jobs, 0)
    assert asked == [shares]


def test_a_folder_with_an_apostrophe_is_one_word(tmp_path):
    hydra = {"job": {"config_name": "train"}, "overrides": {"hydra": []}, "runtime": {"config_sources": []}}
    app = OmegaConf.create({"hydra": {**hydra, "launcher": {"n_jobs": 2}}})
    folder = tmp_path / "tom's runs"
    words = processes.ProcessPool(app, 1, 1)._words(Job(0, [], OmegaConf.create({}), folder, "0"))
    (place,) = OverridesParser.create().parse_overrides([word for word in words if word.startswith("hydra.run.dir")])
    assert place.value() == str(folder)


@pytest.mark.parametrize(
    ("said", "age", "code", "state"),
    [
        ({"state": "interrupted", "error": "another rank has ended"}, 0, 2, "interrupted"),
        ({"state": "interrupted", "error": "another rank has ended"}, 99, 1, "failed"),  # of an earlier attempt
        ({"state": "running", "error": None}, 0, 1, "failed"),  # and no process at work
        ({"state": "running", "error": None}, 0, -9, "interrupted"),
        ({"state": "failed", "error": "its own"}, 0, -9, "failed"),
    ],
)
def test_what_a_process_said_of_its_end_stays_and_else_its_exit_code_tells(tmp_path, said, age, code, state):
    job = Job(0, [], OmegaConf.create({}), tmp_path, "0")
    status.write(tmp_path, **said)
    (tmp_path / processes.OUTPUT).write_text("the last line\n")
    processes._note_end(job, code, began=time.time() - 1 + age)
    found = status.read(tmp_path)
    assert found["state"] == state and (state != "failed" or found["error"] in ("the last line", "its own"))
