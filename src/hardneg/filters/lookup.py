"""A table that a filter looks up: copied to the device of the candidates once, not at every step."""

from __future__ import annotations

import torch
from torch import Tensor


class Lookup:
    """Holds a table on the CPU, and a copy on each device that has asked for it."""

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self._copies: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """Return the table on this device; the copies are not to be written to."""
        if device == self.table.device:
            return self.table
        if device not in self._copies:
            self._copies[device] = self.table.to(device)
        return self._copies[device]

    def __len__(self) -> int:
        return len(self.table)

    def __getstate__(self) -> dict[str, Tensor]:
        """Other processes make their own copies."""
        return {"table": self.table}

    def __setstate__(self, state: dict[str, Tensor]) -> None:
        self.__init__(state["table"])  # type: ignore[misc]
