"""The process group: joining the ranks that a launcher started, parting, and telling that one of them is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
import torch.distributed as dist

from hardneg.errors import ConfigError
from hardneg.system import agreement, distributed, launch

LOST = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited", "Socket closed")


@contextmanager
def from_launcher(device_name: str = "auto") -> Iterator[None]:
    """Join the other processes that torchrun or srun started, if one started us; Lightning does so on its own.

    `device_name` is where they compute (see `distributed.device`). Raises `ConfigError` for one GPU that all of them
    would share.
    """
    here = launch.place()
    if here is None or dist.is_initialized():
        yield
        return
    where = distributed.device(device_name)
    if where.type == "cuda":
        if device_name not in ("auto", "cuda"):
            raise ConfigError(
                f"device={device_name}: each of {here.world} ranks needs a GPU of its own; take device=auto"
            )
        torch.cuda.set_device(where)  # before NCCL begins, or all ranks of a machine meet on its first GPU
    agreement.find_first()
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo", rank=here.rank, world_size=here.world)
    try:
        yield
    except BaseException:
        dist.destroy_process_group()  # the others may have gone, or hear of it as they wait
        raise
    part()


def part() -> None:
    """Let the ranks go their ways; a run that comes later in this process joins others.

    Rank 0 keeps the words, so it stays until the others have heard the last one, for half a minute at most.
    """
    if not dist.is_initialized():
        return
    if dist.get_world_size() > 1:
        store = agreement.joined_store()
        with suppress(RuntimeError):  # rank 0 is gone already
            store.add("parted", 1)
            agreement.wait_until(lambda: dist.get_rank() > 0 or store.add("parted", 0) >= dist.get_world_size())
    dist.destroy_process_group()


def is_lost(error: BaseException) -> bool:
    """Whether an error is what gloo or NCCL make of another rank that has ended."""
    said = str(error)
    return isinstance(error, RuntimeError) and distributed.active() and any(words in said for words in LOST)
