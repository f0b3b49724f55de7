"""Who the ranks are, and where each computes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hardneg.system import launch

if TYPE_CHECKING:  # what reads data and tables asks here too, and is spared seconds of imports
    import torch

_alone = 0  # how many blocks of `alone` this process is in
_chosen: torch.device | None = None  # the device that this process was given, where it was


def active() -> bool:
    """Whether several ranks run together."""
    if _alone or "torch.distributed" not in sys.modules:  # ranks are joined by that alone
        return False
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """The number of this process, 0 when alone."""
    if not active():
        return 0
    import torch.distributed as dist

    return dist.get_rank()


def world_size() -> int:
    """How many ranks run together, 1 when alone."""
    if not active():
        return 1
    import torch.distributed as dist

    return dist.get_world_size()


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work within the block as if it were alone, while the other ranks wait for its word."""
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


@contextmanager
def computing_on(chosen: torch.device) -> Iterator[None]:
    """Let `auto` stand for this device within the block: the one that the trainer was given."""
    global _chosen
    before, _chosen = _chosen, chosen
    try:
        yield
    finally:
        _chosen = before


def device(name: str) -> torch.device:
    """Return where this process computes: `auto` takes a GPU of its own if there is one, and `cuda` means that one.

    Of several processes on a machine each has the GPU of its number there (LOCAL_RANK, SLURM_LOCALID), or the only one
    that it can see; beside a trainer it is the trainer's. An explicit device, as cuda:1, is taken as it is.
    """
    if name == "auto" and _chosen is not None:
        return _chosen
    import torch

    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        return torch.device("cpu" if name == "auto" else name)
    if _chosen is not None and _chosen.type == "cuda":
        return _chosen
    return torch.device("cuda", launch.local_rank() % torch.cuda.device_count())
