"""Who the ranks are, where each computes, and what they say to each other and agree on."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import environ
from typing import TYPE_CHECKING, Any, TypeVar

from hardneg.errors import ConfigError, RankLost
from hardneg.system import launch

if TYPE_CHECKING:  # what reads data and tables asks here too, and does without seconds of imports
    import torch
    import torch.distributed

T = TypeVar("T")

LOST = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited", "Socket closed")
LOOKS = (0.002, 0.5)  # seconds between two looks for another rank's word: at first, and at most
FAREWELL = 30.0  # seconds that a first rank which gives up waits for the others to hear of it

_alone = 0  # how many blocks of `alone` this process is in
_chosen: torch.device | None = None  # the device that this process was given, where it was
_words = {"early": 0, "joined": 0}  # how many words were said or heard, before and after the ranks were joined
_early: torch.distributed.Store | None = None


def active() -> bool:
    """Whether several ranks run together."""
    if _alone or "torch.distributed" not in sys.modules:  # by which alone ranks are joined
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
    """Let this process work meanwhile as if there were no other ranks, which wait for its word."""
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


@contextmanager
def from_launcher(device_name: str = "auto") -> Iterator[None]:
    """Join the other processes that torchrun or srun started, if one started us; Lightning does so on its own.

    `device_name` is where they compute (see `device`). Raises `ConfigError` for one GPU that all of them would share.
    """
    here = launch.place()
    if here is None:
        yield
        return
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        yield
        return
    where = device(device_name)
    if where.type == "cuda":
        if device_name not in ("auto", "cuda"):
            raise ConfigError(
                f"device={device_name}: each of {here.world} ranks needs a GPU of its own; take device=auto"
            )
        torch.cuda.set_device(where)  # before NCCL begins, or all ranks of a machine meet on its first GPU
    _find_first()
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
    import torch.distributed as dist

    if not dist.is_initialized():
        return
    if dist.get_world_size() > 1:
        store = _joined()
        with suppress(RuntimeError):  # rank 0 is gone already
            store.add("parted", 1)
            _wait_until(lambda: dist.get_rank() > 0 or store.add("parted", 0) >= dist.get_world_size())
    dist.destroy_process_group()


def _wait_until(true: Callable[[], bool]) -> None:
    """Look until something is so, for `FAREWELL` at most: who does not come may be dead."""
    end = time.monotonic() + FAREWELL
    while not true() and time.monotonic() < end:
        time.sleep(LOOKS[0])


@contextmanager
def computing_on(chosen: torch.device) -> Iterator[None]:
    """Let `auto` be this device meanwhile: the one that the trainer was given."""
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


def first(make: Callable[[], T]) -> T:
    """Return what rank 0 makes, however long that takes; every rank must ask.

    The others wait for its word outside of any collective, whose patience is limited (ten minutes with NCCL): rank 0
    may wait for a lock that another job holds. Within `make` it is as if alone. What it raises ends the others too.
    """
    if not active():
        return make()
    if rank() > 0:
        return _hear(_joined(), "joined")  # type: ignore[no-any-return]
    listeners = world_size()  # before, or it would be one
    with alone():
        return _say(_joined(), "joined", make, listeners)


def decided_first(make: Callable[[], T]) -> T:
    """As `first`, for processes of torchrun or srun that are not joined yet."""
    here = launch.place()
    assert here is not None
    if here.rank > 0:
        return _hear(_before_joining(), "early")  # type: ignore[no-any-return]
    return _say(_before_joining(), "early", make, here.world)


def everyone(value: T) -> list[T]:
    """Return what each rank says, in their order; every rank must ask, and may come as late as it likes."""
    if not active():
        return [value]
    store, key = _joined(), _next("joined")
    _put(store, f"{key}/{rank()}", value)
    return [pickle.loads(_wait(store, f"{key}/{number}")) for number in range(world_size())]


def barrier() -> None:
    """Wait until every rank is here, however long: one may have more to do than the patience of a collective."""
    everyone(None)


def agree(what: str, value: Any) -> None:
    """Raise `ConfigError` on every rank if they come with different values; every rank must ask."""
    said = everyone(value)
    for number, other in enumerate(said):
        if other != said[0]:
            raise ConfigError(
                f"the ranks do not agree on {what}: rank 0 has {said[0]}, rank {number} has {other}; all of them must"
                " be started alike, and see the same files"
            )


def _before_joining() -> torch.distributed.Store:
    """The store by which the launcher's processes find each other; rank 0's own, or the launcher's."""
    global _early
    import torch.distributed as dist

    here = launch.place()
    assert here is not None
    if _early is None:
        _find_first()
        store, _, _ = next(dist.rendezvous("env://", here.rank, here.world))
        _early = dist.PrefixStore("hardneg/early", store)
    return _early


def _find_first() -> None:
    """Let the environment say where rank 0 is; of SLURM's processes each can tell."""
    if "RANK" in environ:
        return
    from lightning.fabric.plugins.environments import SLURMEnvironment

    try:
        slurm = SLURMEnvironment()
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
    environ["MASTER_ADDR"], environ["MASTER_PORT"] = slurm.main_address, str(slurm.main_port)


def _joined() -> torch.distributed.Store:
    import torch.distributed as dist

    return dist.PrefixStore("hardneg/joined", dist.distributed_c10d._get_default_store())


def _put(store: torch.distributed.Store, key: str, value: Any) -> None:
    # It takes bytes, whatever its stub says.
    store.set(key, pickle.dumps(value))  # type: ignore[arg-type]


def _next(stage: str) -> str:
    _words[stage] += 1
    return str(_words[stage])


def _say(store: torch.distributed.Store, stage: str, make: Callable[[], T], listeners: int) -> T:
    """Make a value and say it, or say that there will be none."""
    key = _next(stage)
    try:
        value = make()
    except BaseException:
        _put(store, key, (False, None))
        _wait_until(lambda: store.add(f"{key}/heard", 0) >= listeners - 1)  # the store may be ours, and end with us
        raise
    _put(store, key, (True, value))
    return value


def _hear(store: torch.distributed.Store, stage: str) -> Any:
    key = _next(stage)
    made, value = pickle.loads(_wait(store, key))
    if not made:
        store.add(f"{key}/heard", 1)
        raise SystemExit(2)  # rank 0 has said why
    return value


def _wait(store: torch.distributed.Store, key: str) -> bytes:
    """Look for a word until it is there; raises `RankLost` where the process that keeps the words has gone."""
    pause = LOOKS[0]
    try:
        while not store.check([key]):
            time.sleep(pause)
            pause = min(2 * pause, LOOKS[1])
        return store.get(key)
    except RuntimeError as error:
        raise RankLost from error


def is_lost(error: BaseException) -> bool:
    """Whether an error is what gloo or NCCL make of another rank that has ended."""
    said = str(error)
    return isinstance(error, RuntimeError) and active() and any(words in said for words in LOST)
