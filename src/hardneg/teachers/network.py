"""Teachers that are a network over pairs: loaded once, and moved between the device and main memory."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from hardneg.data.tables import RetrievalData
from hardneg.system import distributed
from hardneg.teachers.base import Teacher

N = TypeVar("N", bound=nn.Module)


class NetworkTeacher(Teacher, Generic[N]):
    """Scores pairs by a `network` that reads query and document together."""

    data: RetrievalData
    network: N | None = None

    @abstractmethod
    def load(self, device: torch.device) -> N:
        """Load the weights into main memory, settling what depends on the device they will compute on."""

    def prepare(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Load the weights, or bring them back to the device."""
        self.data = data
        where = distributed.device(device)
        if self.network is None:
            # Weights that a file lacks are drawn here: the same each time, and without changing how training starts.
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(0)
                self.network = self.load(where).eval()
        self.network.to(where)

    def put_away(self) -> None:
        """Keep the weights in main memory."""
        if self.network is not None:
            self.network.cpu()
