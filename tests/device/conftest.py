"""The device under test, and the small world in which every combination trains.

HARDNEG_TEST_DEVICE=cuda runs these tests on a GPU that is there (cpu: on the CPU, to try the tests themselves); without
it they run on the stand-in.
"""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def device(monkeypatch):
    """The device, for this test only."""
    chosen = os.environ.get("HARDNEG_TEST_DEVICE", "standin")
    if chosen != "standin":
        from real import Real

        with Real(chosen) as device:
            yield device
        return
    import torch
    from standin import StandIn
    from transformers import PreTrainedModel

    tensor, load = torch.tensor, PreTrainedModel.from_pretrained.__func__

    def load_as_ever(cls, *args, **kwargs):
        ours, torch.tensor = torch.tensor, tensor  # transformers leaves buffers unfilled where it is another function
        try:
            return load(cls, *args, **kwargs)
        finally:
            torch.tensor = ours

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", classmethod(load_as_ever))
    with StandIn() as device:
        yield device


@pytest.fixture(scope="module")
def world(toy, tmp_path_factory):
    from combinations import make_world

    return make_world(toy, tmp_path_factory.mktemp("world"))
