"""Everything that knows about ranks: the only file that imports torch.distributed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from os import environ
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Int, Shaped
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard


def active() -> bool:
    """Whether several ranks run together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """The number of this process, 0 when alone."""
    return dist.get_rank() if active() else 0


def world_size() -> int:
    """How many ranks run together, 1 when alone."""
    return dist.get_world_size() if active() else 1


def barrier() -> None:
    """Wait until every rank is here."""
    if active():
        dist.barrier()


@contextmanager
def from_torchrun() -> Iterator[None]:
    """Join the other processes that `torchrun` started, if it started us; Lightning does so on its own."""
    if int(environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def device(name: str) -> torch.device:
    """Turn `auto` into this process's GPU if there is one."""
    if name != "auto" or not torch.cuda.is_available():
        return torch.device("cpu" if name == "auto" else name)
    return torch.device("cuda", int(environ.get("LOCAL_RANK", "0")))


def anywhere(flag: bool) -> bool:
    """Whether any rank says so; every rank must ask."""
    if not active():
        return flag
    said = torch.tensor(int(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(said, op=dist.ReduceOp.MAX)
    return bool(said)


class AnywhereBefore:
    """`anywhere`, asked once a step and answered a step later: hosts meet on the CPU, and none waits for its device.

    Every rank must make one at the same time, and ask equally often. Alone it answers at once.
    """

    def __init__(self) -> None:
        # Whatever computes: an answer from a device would have to be waited for. Ranks may be long apart, as in mining.
        self._group = dist.new_group(backend="gloo", timeout=timedelta(days=7)) if active() else None
        self._said: Tensor | None = None
        self._asked: Any = None

    def __call__(self, flag: bool) -> bool:
        """Say one's own, and return whether any rank said so when last asked."""
        if self._group is None:
            return flag
        if self._said is not None:
            self._asked.wait()  # for the other hosts to have come as far as the last step
            if bool(self._said):
                return True
        self._said = torch.tensor(int(flag))
        self._asked = dist.all_reduce(self._said, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        return False


def mean(value: float) -> float:
    """Average a number over the ranks that know it (it is NaN where it is not known); every rank must ask."""
    if not active():
        return value
    known = value == value
    where = "cuda" if dist.get_backend() == "nccl" else "cpu"
    both = torch.tensor([value if known else 0.0, float(known)], dtype=torch.float64, device=where)
    dist.all_reduce(both)
    return float(both[0] / both[1])


class _Gather(torch.autograd.Function):
    """All-gather whose gradient is the sum of what every rank asks of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()  # contiguous() may be the caller's own gradient
        dist.all_reduce(total)
        return total.chunk(world_size())[rank()]


def gather(x: Shaped[Tensor, R * rest]) -> Shaped[Tensor, WR * rest]:
    """Concatenate the ranks' equal-sized blocks of rows, in rank order, with gradient.

    No world-size factor: with local queries against gathered columns and the mean over ranks that DDP takes of the
    gradients, W ranks with B rows give exactly the gradient of one process with W*B rows.
    """
    return _Gather.apply(x) if active() else x


def gather_padded(ids: Int[Tensor, "R P"], fill: int = -1) -> Int[Tensor, "WR Q"]:
    """Gather id lists whose width differs between ranks."""
    if not active():
        return ids
    width = torch.tensor([ids.shape[1]], device=ids.device)
    dist.all_reduce(width, op=dist.ReduceOp.MAX)
    return gather(torch.nn.functional.pad(ids, (0, int(width) - ids.shape[1]), value=fill))


def gather_rows(rows: Shaped[Tensor, "R D"], total: int) -> Shaped[Tensor, "T D"]:
    """Put together what each rank computed for its `shard(total)`, without gradient."""
    if not active():
        return rows
    size = -(-total // world_size())
    padded = torch.nn.functional.pad(rows, (0, 0, 0, size - len(rows)))
    return gather(padded.detach())[:total]


def shard(total: int) -> slice:
    """The contiguous share of `total` rows that this rank works on."""
    size = -(-total // world_size())
    return slice(min(rank() * size, total), min((rank() + 1) * size, total))


def split_weights(whole: nn.Module, blocks: Iterable[nn.Module], mesh: DeviceMesh, bf16: bool) -> None:
    """Split a module's weights over the ranks (FSDP2), gathered one block at a time when it runs.

    With `bf16` they are gathered as that type; what is trained stays as it is, and gradients are added in float32.
    """
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if bf16 else None
    for module in (*blocks, whole):
        fully_shard(module, mesh=mesh, mp_policy=policy or MixedPrecisionPolicy())


@contextmanager
def whole_weights(module: nn.Module) -> Iterator[None]:
    """Hold the whole weights on every rank meanwhile, so that ranks may run the module as often as each needs to.

    Every rank must take part. Does nothing where the weights are not split.
    """
    parts = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()


def load_weights(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Load whole weights, each rank its part where they are split."""
    if any(isinstance(part, FSDPModule) for part in module.modules()):
        set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True))
    else:
        module.load_state_dict(state)
