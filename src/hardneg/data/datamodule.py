"""What Lightning asks for training batches."""

from __future__ import annotations

import lightning as L
import torch
from torch.utils.data import DataLoader

from hardneg import distributed
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.loader import ResumableLoader
from hardneg.data.sampler import EpochSampler
from hardneg.errors import ConfigError


class Batches(L.LightningDataModule):
    """Serve training batches of `batch_size` queries a rank."""

    def __init__(self, rows: TrainingRows, collate: Collate, batch_size: int, seed: int, num_workers: int = 0) -> None:
        super().__init__()
        self.rows, self.collate = rows, collate
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers

    def train_dataloader(self) -> ResumableLoader:
        """Build this rank's loader; raises `ConfigError` when one global batch is more than the queries there are."""
        sampler = EpochSampler(len(self.rows), self.batch_size, self.seed, distributed.rank(), distributed.world_size())
        if not len(sampler):
            raise ConfigError(
                f"batch_size={self.batch_size} on {distributed.world_size()} ranks is more than the {len(self.rows)}"
                " training queries; use a smaller batch_size"
            )
        loader = DataLoader(
            self.rows,
            batch_sampler=sampler,  # type: ignore[arg-type]
            collate_fn=self.collate,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )
        return ResumableLoader(loader, sampler)
