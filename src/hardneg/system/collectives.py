"""What the ranks of a run compute together: gathered rows with their gradient, means, and what any of them says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Int, Shaped
from torch import Tensor

from hardneg.system import distributed


class AnywhereBefore:
    """Whether any rank says so, asked once a step and answered a step later.

    Hosts meet on the CPU, and none waits for its device.
    Every rank must make one at the same time, and ask equally often. Alone it answers at once.
    """

    def __init__(self) -> None:
        # On the CPU: an answer from a device would have to be waited for. Ranks may be far apart, as in mining.
        self._group = dist.new_group(backend="gloo", timeout=timedelta(days=7)) if distributed.active() else None
        self._said: Tensor | None = None
        self._asked: Any = None

    def __call__(self, flag: bool) -> bool:
        """Give this rank's flag, and return whether any rank had set its own at the last call."""
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
    if not distributed.active():
        return value
    known = value == value
    both = _moved(torch.tensor([value if known else 0.0, float(known)], dtype=torch.float64))
    dist.all_reduce(both)
    return float(both[0] / both[1])


def _moved(x: Tensor) -> Tensor:
    """Bring a tensor to a device that the ranks' backend can send from: NCCL takes nothing that is not on a GPU."""
    kinds = [pair.split(":")[0] for pair in dist.get_backend_config().split(",")]
    return x if x.device.type in kinds else x.to(torch.device(kinds[0]))


class _Gather(torch.autograd.Function):
    """All-gather whose gradient is the sum of what every rank asks of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        sent = _moved(x.contiguous())
        parts = [torch.empty_like(sent) for _ in range(distributed.world_size())]
        dist.all_gather(parts, sent)
        return torch.cat(parts).to(x.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = _moved(grads[0].clone())  # contiguous() may be the caller's own gradient
        dist.all_reduce(total)
        return total.chunk(distributed.world_size())[distributed.rank()].to(grads[0].device)


def gather(x: Shaped[Tensor, R * rest]) -> Shaped[Tensor, WR * rest]:
    """Concatenate the ranks' equal-sized blocks of rows, in rank order, with gradient, on the device they came from.

    No world-size factor: with local queries against gathered columns and the mean over ranks that DDP takes of the
    gradients, W ranks with B rows give exactly the gradient of one process with W*B rows.
    """
    return _Gather.apply(x) if distributed.active() else x


def gather_padded(ids: Int[Tensor, "R P"]) -> Int[Tensor, "WR Q"]:
    """Gather id lists whose width differs between ranks; -1 fills the shorter ones."""
    if not distributed.active():
        return ids
    width = _moved(torch.tensor([ids.shape[1]]))
    dist.all_reduce(width, op=dist.ReduceOp.MAX)
    return gather(torch.nn.functional.pad(ids, (0, int(width) - ids.shape[1]), value=-1))


def gather_rows(rows: Shaped[Tensor, "R D"], total: int) -> Shaped[Tensor, "T D"]:
    """Put together what each rank computed for its `shard(total)`, without gradient."""
    if not distributed.active():
        return rows
    size = -(-total // distributed.world_size())
    padded = torch.nn.functional.pad(rows, (0, 0, 0, size - len(rows)))
    return gather(padded.detach())[:total]


def shard(total: int) -> slice:
    """The contiguous share of `total` rows that this rank works on."""
    size = -(-total // distributed.world_size())
    return slice(min(distributed.rank() * size, total), min((distributed.rank() + 1) * size, total))
