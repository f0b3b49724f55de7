"""Which device a process computes on, as its launcher and its config say."""

from __future__ import annotations

import pytest
import torch

from hardneg.errors import ConfigError
from hardneg.system import distributed, launch, process_group

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
SLURM = {"SLURM_PROCID": "6", "SLURM_NTASKS": "8", "SLURM_LOCALID": "2", "SLURM_JOB_NAME": "train"}


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GPUs that this process sees, started as the environment says."""
    names = {*TORCHRUN, *SLURM, "NODE_RANK"}

    def make(gpus, environment):
        for name in names:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return make


@pytest.mark.parametrize(
    ("environment", "gpus", "name", "device"),
    [
        ({}, 0, "auto", "cpu"),
        ({}, 4, "auto", "cuda:0"),
        ({}, 4, "cpu", "cpu"),
        ({}, 4, "cuda:3", "cuda:3"),
        (TORCHRUN, 4, "auto", "cuda:1"),
        (TORCHRUN, 4, "cuda", "cuda:1"),
        (TORCHRUN, 4, "cuda:3", "cuda:3"),
        (SLURM, 4, "auto", "cuda:2"),
        (SLURM, 1, "auto", "cuda:0"),  # --gpus-per-task=1: each task sees one
        ({"LOCAL_RANK": "3", "WORLD_SIZE": "4"}, 4, "auto", "cuda:3"),  # as Lightning starts them
    ],
)
def test_auto_is_this_processes_own_gpu_and_an_explicit_device_is_taken(machine, environment, gpus, name, device):
    machine(gpus, environment)
    assert distributed.device(name) == torch.device(device)


def test_beside_a_trainer_auto_is_the_trainers_device(machine):
    machine(4, {})
    with distributed.computing_on(torch.device("cuda", 1)):  # trainer.devices=[1]
        assert distributed.device("auto") == distributed.device("cuda") == torch.device("cuda", 1)
        assert distributed.device("cpu") == torch.device("cpu")
    assert distributed.device("auto") == torch.device("cuda", 0)


def test_a_gpu_is_set_before_nccl_begins_and_one_gpu_for_all_is_refused(machine, monkeypatch):
    machine(4, TORCHRUN)
    done = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: done.append(str(device)))
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, **_: done.append(backend))
    monkeypatch.setattr(process_group, "part", lambda: done.append("parted"))
    with process_group.from_launcher():
        pass
    assert done == ["cuda:1", "nccl", "parted"]
    with pytest.raises(ConfigError, match="device=cuda:1: each of 8 ranks needs a GPU of its own"):
        process_group.from_launcher("cuda:1").__enter__()


@pytest.mark.parametrize(
    ("environment", "place", "first"),
    [
        ({}, None, True),
        (TORCHRUN, launch.ProcessRank(5, 8, 1), False),
        ({**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0"}, launch.ProcessRank(0, 8, 0), True),
        (SLURM, launch.ProcessRank(6, 8, 2), False),
        ({**SLURM, **TORCHRUN}, launch.ProcessRank(5, 8, 1), False),  # torchrun inside SLURM
        ({**SLURM, "SLURM_JOB_NAME": "interactive", "SLURM_PROCID": "0"}, None, True),
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "2", "NODE_RANK": "0"}, None, False),  # a process of Lightning's
    ],
)
def test_a_process_knows_its_place(machine, environment, place, first):
    machine(0, environment)
    assert launch.place() == place and launch.first_rank() is first


def test_what_the_first_process_decides_its_children_hear_by_the_environment(machine, monkeypatch):
    machine(0, {})
    monkeypatch.setenv(launch.DECIDED, "{}")
    assert launch.decided("folder", lambda: "outputs/1") == "outputs/1"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert launch.decided("folder", lambda: "outputs/2") == "outputs/1"


def test_another_number_of_processes_than_devices_is_refused(machine):
    machine(0, {})
    launch.check_count(4)  # Lightning starts them
    machine(0, TORCHRUN)
    launch.check_count(8)
    with pytest.raises(ConfigError, match=r"8 processes were started.* make 1: each would train a run of its own"):
        launch.check_count(1)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:6"), True),
        (RuntimeError("NCCL error: remote process exited or there was a network error"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("Connection reset by peer"), False),  # a logger's
    ],
)
def test_a_rank_that_has_ended_is_told_from_other_errors(monkeypatch, error, lost):
    assert not process_group.is_lost(error), "there is one rank"
    monkeypatch.setattr(distributed, "active", lambda: True)
    assert process_group.is_lost(error) is lost
