"""The share of a machine that each of several jobs gets: threads, and GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import torch

from hardneg.errors import ConfigError
from hardneg.system.cores import cores


def threads(jobs: int, ranks: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a job that shares the cores with `jobs - 1` others and divides them among its ranks.

    A smaller number that the user has set stays.
    """
    share = max(cores() // (jobs * ranks), 1)
    names = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")  # torch and the tokenizers
    return {name: str(min(share, int(environment.get(name) or share))) for name in names}


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The names of the GPUs that we may use, as CUDA_VISIBLE_DEVICES takes them."""
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = [name.strip() for name in given.split(",")]
        return [name for name in takewhile(lambda name: not name.startswith("-"), names) if name]  # -1 hides the rest
    return [str(number) for number in range(torch.cuda.device_count())]


class Gpus:
    """Hands out GPUs, those with the fewest jobs first; GPUs are shared only if there are more jobs than GPUs."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.used: Counter[str] = Counter()

    def wanted(self, node: Mapping[str, Any], jobs: int) -> int:
        """How many a job asks for by its config; `auto` and -1 are its share of all, and a list chooses for itself.

        Raises `ConfigError` for more than there are.
        """
        trainer = node.get("trainer") or {"accelerator": node.get("device", "auto"), "devices": 1}
        if trainer["accelerator"] == "cpu" or not self.names:
            return 0
        devices = trainer["devices"]
        if devices in ("auto", "-1", -1):
            return max(len(self.names) // jobs, 1)
        if not str(devices).isdecimal():
            return 0
        count = int(devices)
        if count > len(self.names):
            raise ConfigError(f"trainer.devices={devices}: there are {len(self.names)} GPUs here")
        return count

    def take(self, count: int) -> list[str]:
        """Assign some to a job."""
        chosen = sorted(self.names, key=lambda name: self.used[name])[:count]
        self.used.update(chosen)
        return chosen

    def give_back(self, names: list[str]) -> None:
        """Return them when the job has ended."""
        self.used.subtract(names)


def ranks(node: Mapping[str, Any]) -> int:
    """How many processes a job starts on the CPU."""
    devices = (node.get("trainer") or {}).get("devices", 1)
    return devices if isinstance(devices, int) and devices > 0 else 1
