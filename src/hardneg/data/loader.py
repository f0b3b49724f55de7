"""A data loader that can go on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch.utils.data import DataLoader

from hardneg.data.sampler import EpochSampler
from hardneg.matrix.batch import Rows


class ResumableLoader:
    """Wraps a `DataLoader` over an `EpochSampler` and counts the batches handed out in this epoch.

    A plain loader would train a resumed epoch's first batches twice and skip its last ones; the order here is a pure
    function of (seed, epoch), so skipping is exact and costs nothing, with any number of workers.
    """

    def __init__(self, loader: DataLoader, sampler: EpochSampler, version: Callable[[], object] = lambda: None) -> None:
        self.loader = loader
        self.version = version  # the version of what rows are drawn from
        self.sampler = sampler  # where Lightning looks for set_epoch
        self.handed_out = 0
        self.resumed: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Rows]:
        # A generator, so this runs at the first batch: Lightning asks for the iterator before it sets the epoch.
        same_epoch = self.resumed.get("epoch") == self.sampler.epoch
        self.handed_out = self.sampler.start = self.resumed["handed_out"] if same_epoch else 0
        self.resumed = {}
        while True:
            version = self.version()
            for batch in self.loader:
                self.handed_out += 1
                yield batch
                if self.version() != version:
                    # Mined anew after this batch: what workers have prefetched was drawn from the old lists.
                    self.sampler.start = self.handed_out
                    break
            else:
                return

    @property
    def position(self) -> dict[str, int]:
        """The epoch, and the number of its batches done."""
        return {"epoch": self.sampler.epoch, "handed_out": self.handed_out}

    def go_on(self, position: dict[str, int]) -> None:
        """Start at this position when its epoch comes."""
        self.resumed = position
