"""What ranks say to each other and agree on, however long one waits for another: by a store, outside of collectives."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from os import environ
from typing import TYPE_CHECKING, Any, TypeVar

from hardneg.errors import ConfigError, RankLost
from hardneg.system import distributed, launch

if TYPE_CHECKING:  # as in `distributed`: who reads data is spared the import
    from torch.distributed import Store

T = TypeVar("T")

LOOKS = (0.002, 0.5)  # seconds between two looks for another rank's word: at first, and at most
FAREWELL = 30.0  # seconds that a first rank which gives up waits for the others to hear of it

_words = {"early": 0, "joined": 0}  # how many words were said or heard, before and after the ranks were joined
_early: Store | None = None


def first(make: Callable[[], T]) -> T:
    """Return what rank 0 makes, however long that takes; every rank must ask.

    The others wait for its word outside of any collective, whose patience is limited (ten minutes with NCCL): rank 0
    may wait for a lock that another job holds. Within `make` it is as if alone. What it raises ends the others too.
    """
    if not distributed.active():
        return make()
    if distributed.rank() > 0:
        return _hear(joined_store(), "joined")  # type: ignore[no-any-return]
    listeners = distributed.world_size()  # before `alone`, or it would be one
    with distributed.alone():
        return _say(joined_store(), "joined", make, listeners)


def decided_first(make: Callable[[], T]) -> T:
    """As `first`, for processes of torchrun or srun that are not joined yet."""
    here = launch.place()
    assert here is not None
    if here.rank > 0:
        return _hear(_before_joining(), "early")  # type: ignore[no-any-return]
    return _say(_before_joining(), "early", make, here.world)


def everyone(value: T) -> list[T]:
    """Return what each rank says, in their order; every rank must ask, and may come as late as it likes."""
    if not distributed.active():
        return [value]
    store, key = joined_store(), _next("joined")
    _put(store, f"{key}/{distributed.rank()}", value)
    return [pickle.loads(_wait(store, f"{key}/{number}")) for number in range(distributed.world_size())]


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


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until something is true, for `FAREWELL` at most: a rank that does not come may be dead."""
    end = time.monotonic() + FAREWELL
    while not true() and time.monotonic() < end:
        time.sleep(LOOKS[0])


def _before_joining() -> Store:
    """The store by which the launcher's processes find each other; rank 0's own, or the launcher's."""
    global _early
    import torch.distributed as dist

    here = launch.place()
    assert here is not None
    if _early is None:
        find_first()
        store, _, _ = next(dist.rendezvous("env://", here.rank, here.world))
        _early = dist.PrefixStore("hardneg/early", store)
    return _early


def find_first() -> None:
    """Let the environment say where rank 0 is, as each of SLURM's processes can tell.

    Raises `ConfigError` for settings of SLURM that Lightning refuses.
    """
    if "RANK" in environ:
        return
    from lightning.fabric.plugins.environments import SLURMEnvironment

    try:
        slurm = SLURMEnvironment()
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
    environ["MASTER_ADDR"], environ["MASTER_PORT"] = slurm.main_address, str(slurm.main_port)


def joined_store() -> Store:
    """The store of the ranks that have joined; rank 0 keeps it."""
    import torch.distributed as dist

    return dist.PrefixStore("hardneg/joined", dist.distributed_c10d._get_default_store())


def _put(store: Store, key: str, value: Any) -> None:
    # `set` takes bytes, whatever its stub says.
    store.set(key, pickle.dumps(value))  # type: ignore[arg-type]


def _next(stage: str) -> str:
    _words[stage] += 1
    return str(_words[stage])


def _say(store: Store, stage: str, make: Callable[[], T], listeners: int) -> T:
    """Make a value and publish it, or publish that there will be none."""
    key = _next(stage)
    try:
        value = make()
    except BaseException:
        _put(store, key, (False, None))
        wait_until(lambda: store.add(f"{key}/heard", 0) >= listeners - 1)  # the store may be ours, and end with us
        raise
    _put(store, key, (True, value))
    return value


def _hear(store: Store, stage: str) -> Any:
    key = _next(stage)
    made, value = pickle.loads(_wait(store, key))
    if not made:
        store.add(f"{key}/heard", 1)
        raise SystemExit(2)  # rank 0 has said why
    return value


def _wait(store: Store, key: str) -> bytes:
    """Look for a word until it is there; raises `RankLost` where the process that keeps the words has gone."""
    pause = LOOKS[0]
    try:
        while not store.check([key]):
            time.sleep(pause)
            pause = min(2 * pause, LOOKS[1])
        return store.get(key)
    except RuntimeError as error:
        raise RankLost from error
