"""Weights that are split over the ranks (FSDP2): splitting, gathering, comparing and loading them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard


def split_weights(whole: nn.Module, blocks: Iterable[nn.Module], mesh: DeviceMesh, bf16: bool) -> None:
    """Split a module's weights over the ranks (FSDP2), gathered one block at a time when it runs.

    With `bf16` they are gathered as that type; what is trained stays as it is, and gradients are added in float32.
    """
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if bf16 else None
    for module in (*blocks, whole):
        fully_shard(module, mesh=mesh, mp_policy=policy or MixedPrecisionPolicy())


@contextmanager
def whole_weights(module: nn.Module) -> Iterator[None]:
    """Hold the whole weights on every rank within the block, so that each may run the module as often as it needs.

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


def weights_sum(module: nn.Module) -> int | None:
    """Add up the bits of all weights, in whatever order: equal weights have equal sums. None where they are split."""
    if any(isinstance(part, FSDPModule) for part in module.modules()):
        return None
    return sum(bit_sums(module.parameters()))


def bit_sums(tensors: Iterable[Tensor]) -> list[int]:
    """Add up the bits of each tensor, on its device: what tells states of the weights apart without copying them."""
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = (one.detach().contiguous().view(integers[one.element_size()]) for one in tensors)
    return [int(part.sum(dtype=torch.int64)) for part in bits]


def load_weights(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Load whole weights, each rank its part where they are split."""
    if any(isinstance(part, FSDPModule) for part in module.modules()):
        set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True))
    else:
        module.load_state_dict(state)
