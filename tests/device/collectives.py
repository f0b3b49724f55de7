"""A backend of torch.distributed with NCCL's rule, for machines without a GPU: all that is sent is on its device.

    dist.init_process_group(register("standin"), store=..., rank=..., world_size=...)

Between real processes; the numbers travel by gloo. A tensor of another device raises what torch raises where only NCCL
is there. The device is a stand-in, whose tensors hold their numbers as `held`.
"""

from __future__ import annotations

import torch.distributed as dist

NAME = "refusing"


def register(device_type: str) -> str:
    """Make the backend known to torch, for this type of device; return its name."""
    dist.Backend.register_backend(
        NAME,
        lambda store, rank, size, timeout: Refusing(device_type, store, rank, size, timeout),
        devices=[device_type],
    )
    return NAME


class Refusing(dist.ProcessGroup):
    """Hands over to gloo what is on the device, and refuses the rest."""

    def __init__(self, device_type, store, rank, size, timeout):
        super().__init__(rank, size)
        self.device_type = device_type
        self.inner = dist.ProcessGroupGloo(store, rank, size, timeout)

    def getBackendName(self):
        return NAME

    def allreduce(self, tensors, opts=None):
        return self.inner.allreduce(self._bare(tensors), opts or dist.AllreduceOptions())

    def allgather(self, outputs, inputs, opts=None):
        return self.inner.allgather(
            [self._bare(parts) for parts in outputs], self._bare(inputs), opts or dist.AllgatherOptions()
        )

    def broadcast(self, tensors, opts=None):
        return self.inner.broadcast(self._bare(tensors), opts or dist.BroadcastOptions())

    def barrier(self, opts=None):
        raise RuntimeError("a barrier runs on a device here, and its patience is limited; wait by agreement.barrier")

    def _bare(self, tensors):
        for tensor in tensors:
            if tensor.device.type != self.device_type:
                raise RuntimeError(f"No backend type associated with device type {tensor.device.type}")
        return [getattr(tensor, "held", tensor) for tensor in tensors]
