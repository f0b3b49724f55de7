"""Which of a run's processes this is, as its launcher numbers them, and what the first of them decides for all.

Read from the environment, so that a process that is alone imports nothing for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from os import environ
from typing import Any

from hardneg.errors import ConfigError

DECIDED = "HARDNEG_DECIDED"  # by which the processes that Lightning starts hear what the first one has decided


@dataclass(frozen=True)
class ProcessRank:
    """The number of this process among `world` (from 0), and among those of its machine."""

    rank: int
    world: int
    local_rank: int


def place() -> ProcessRank | None:
    """Where torchrun or srun put this process; None where it was started alone or by Lightning."""
    if "RANK" in environ and int(environ.get("WORLD_SIZE", "1")) > 1:
        return ProcessRank(int(environ["RANK"]), int(environ["WORLD_SIZE"]), int(environ.get("LOCAL_RANK", "0")))
    # As Lightning: a shell that SLURM gave somebody has the variables of a task, but is none.
    interactive = environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if "SLURM_PROCID" in environ and int(environ.get("SLURM_NTASKS", "1")) > 1 and not interactive:
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
        return ProcessRank(*(int(environ.get(name, "0")) for name in names))
    return None


def first_rank() -> bool:
    """Whether no other process of the same run comes first: Lightning, torchrun and SLURM number them."""
    if (here := place()) is not None:
        return here.rank == 0
    return all(environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def local_rank() -> int:
    """The number of this process among those of its machine, 0 when alone."""
    here = place()
    return int(environ.get("LOCAL_RANK", "0")) if here is None else here.local_rank


def check_count(devices: int) -> None:
    """Raise `ConfigError` where torchrun or srun started another number of processes than a trainer has devices."""
    here = place()
    if here is not None and here.world != devices:
        raise ConfigError(
            f"{here.world} processes were started, but trainer.devices and trainer.num_nodes make {devices}: each would"
            f" train a run of its own; say trainer.devices=N, as many as start on a machine, of {here.world} in all"
        )


def decided(name: str, make: Callable[[], Any]) -> Any:
    """Return what the first process of the run decides by `make`, as plain values; the others wait for it.

    For what comes before the ranks are joined (`system.process_group`). `name` says what is decided. What keeps the
    first one from deciding ends the others too: by `SystemExit`, for it has said why.
    """
    if place() is not None:
        from hardneg.system import agreement

        return agreement.decided_first(make)
    if first_rank():
        value = make()
        environ[DECIDED] = json.dumps({**json.loads(environ.get(DECIDED, "{}")), name: value})
        return value
    known = json.loads(environ.get(DECIDED, "{}"))  # Lightning hands down the environment of the first
    return known[name] if name in known else make()
