"""The stand-in device, and the small world in which every combination trains."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def device():
    """The stand-in device, for this test only."""
    from standin import StandIn

    with StandIn() as device:
        yield device


@pytest.fixture(scope="module")
def world(toy, tmp_path_factory):
    from combinations import make_world

    return make_world(toy, tmp_path_factory.mktemp("world"))
