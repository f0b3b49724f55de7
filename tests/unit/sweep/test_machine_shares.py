"""What each of several jobs gets of the machine."""

from __future__ import annotations

import os

import pytest

from hardneg.errors import ConfigError
from hardneg.sweep.machine_shares import Gpus, ranks, threads, visible_gpus


@pytest.mark.parametrize(("jobs", "ranks", "each"), [(1, 1, 8), (2, 1, 4), (3, 1, 2), (2, 2, 2), (9, 1, 1), (3, 3, 1)])
def test_the_cores_are_divided_among_jobs_and_ranks(monkeypatch, jobs, ranks, each):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert threads(jobs, ranks, {}) == {"OMP_NUM_THREADS": str(each), "RAYON_NUM_THREADS": str(each)}
    assert threads(jobs, ranks, {"OMP_NUM_THREADS": "1"})["OMP_NUM_THREADS"] == "1"


def test_the_gpus_that_we_may_use_are_those_that_we_see():
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2,GPU-5"}) == ["2", "GPU-5"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2, 3"}) == ["2", "3"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "1,-1,0"}) == ["1"]


def test_each_job_has_gpus_of_its_own_while_there_are_enough():
    gpus = Gpus(["0", "1", "2", "3"])
    one, two = gpus.take(2), gpus.take(2)
    assert sorted(one + two) == ["0", "1", "2", "3"]
    gpus.give_back(one)
    assert sorted(gpus.take(2)) == sorted(one)
    shared = gpus.take(3)  # no free one left: those with the fewest jobs
    assert len(set(shared)) == 3


@pytest.mark.parametrize(
    ("accelerator", "devices", "count"),
    [
        ("auto", 1, 1),
        ("gpu", 3, 3),
        ("gpu", "2", 2),
        ("cpu", 2, 0),
        ("gpu", "auto", 2),
        ("gpu", -1, 2),
        ("gpu", [2, 3], 0),
    ],
)
def test_a_job_gets_what_its_config_asks_for(accelerator, devices, count):
    node = {"trainer": {"accelerator": accelerator, "devices": devices}}
    assert Gpus(["0", "1", "2", "3"]).wanted(node, jobs=2) == count
    assert Gpus([]).wanted(node, jobs=2) == 0


def test_a_job_without_a_trainer_asks_for_one_gpu():
    assert [Gpus(["0", "1"]).wanted({"device": device}, jobs=2) for device in ("auto", "cuda", "cpu")] == [1, 1, 0]


def test_more_gpus_than_there_are_are_refused():
    with pytest.raises(ConfigError, match="there are 2 GPUs"):
        Gpus(["0", "1"]).wanted({"trainer": {"accelerator": "gpu", "devices": 4}}, jobs=1)


def test_ranks_on_a_processor():
    given = [{"trainer": {"devices": devices}} for devices in (1, 4, "auto")]
    assert [ranks(node) for node in (*given, {"device": "cpu"})] == [1, 4, 1, 1]
