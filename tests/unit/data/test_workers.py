"""How many processes load data: none on a CPU, some for a GPU, as many as asked where a number is."""

from __future__ import annotations

import os

import pytest
import torch

from hardneg.data.workers import workers

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("cores", "devices", "expected"), [(1, 1, 1), (2, 1, 1), (4, 1, 3), (16, 1, 4), (16, 8, 1), (64, 8, 4)]
)
def test_a_gpu_gets_some_of_its_share_of_the_cores(monkeypatch, cores, devices, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert workers("auto", GPU, devices) == expected and workers("auto", CPU, devices) == 0


def test_a_number_is_taken_as_it_is():
    assert workers(0, GPU) == 0 and workers(3, CPU) == 3
