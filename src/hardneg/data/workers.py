"""How many processes load data for a device."""

from __future__ import annotations

import torch

from hardneg.system.cores import cores

AUTO = "auto"
MOST = 4  # one draws and stacks tens of thousands of rows a second (experiments/bench/data_rate.md)


def workers(asked: int | str, device: torch.device, devices: int = 1) -> int:
    """Turn `num_workers` into a number; `devices` are those of this machine, each of which has a share of its cores.

    On a CPU the training itself wants the cores, and drawing a batch takes it no time to speak of: none. A GPU would
    wait for the process that feeds it, so that others get the batches ready meanwhile.
    """
    if not isinstance(asked, str):
        return asked
    if device.type != "cuda":
        return 0
    return min(MOST, max(1, cores() // devices - 1))
